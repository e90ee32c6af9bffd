// Package sqlitepages fills one empty table of a fresh SQLite file by writing the pages of its tree as the file format has
// them (sqlite.org/fileformat2.html, 1.3 to 1.6). Rows come in the order of their ids, so that one page after the other is
// full and nothing is looked up; through SQLite the same rows take three times as long.
//
// Its promise: after End, SQLite reads the file as if it had inserted the rows itself, and goes on writing to it. Until then
// a row that was added is found by its id. What is in a record is not looked at.
//
// Its failure model: a file that is not as SQLite has just made it is refused before anything is written (ErrNotFresh). No
// connection may have the file open meanwhile: nothing guards against that. A crash before End leaves a file that is not to be
// opened, and it is the caller's to know so and remove it. Nothing is synced here.
package sqlitepages
