// Package province makes up a regime of any size, its units and what they file, for measurements and for the tests that
// kill a process under load.
//
// Its promise: the same province is the same commands with the same ids, so that one set up twice is set up once, and two
// runs record the same figures. Everything is registered through the ledger's own commands.
//
// Its failure model: none of its own. The first refusal or error of the ledger ends what was begun, and is returned.
package province
