// Package binhduong2021 is the demonstration's input: Directive 03/CT-UBND of 5 February 2021 of the Bình Dương People's
// Committee as a reporting regime, the units that owed reports under it, and a made-up week in which they do.
//
// Its promise: the directive, the units, their codes and the provincial chairmen are real and name their source; every
// reported figure and every other person is synthetic, is marked so in the facts themselves, and follows from a seed:
// the same seed gives the same story on every machine. The figures of the province stay strictly between the two that
// were published for it (16.20 % of the population on 11 August 2020, 36.68 % on 19 June 2021).
//
// Its failure model: the data are embedded, so whoever has the program has them. Load fails only when a file that is
// part of the program is wrong, which the tests rule out.
package binhduong2021
