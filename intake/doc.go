// Package intake turns what a unit sends, a JSON body or a file of a day's reports, into attempts that the domain can
// decide, or into faults.
//
// Its promise: what comes out is exactly what was sent, or nothing comes out. No figure is guessed, rounded or taken from
// a string; of two members of one name neither is preferred; texts are brought to Unicode form NFC and are otherwise
// untouched. A file gives all of its rows or none.
//
// Its failure model: every refusal is a *domain.Error that lists all faults of the input at once, sorted, each with a
// JSON Pointer and, for files, the row and the column as a spreadsheet shows them. After a place where the input stops
// being JSON or CSV nothing further can be said of it. No input makes this package panic or use more than a small
// multiple of the input's size; sizes are bounded by domain's limits before anything is read.
//
// Whether the unit, the day and the obligation exist, and whether the sender may report, is for others to decide.
package intake
