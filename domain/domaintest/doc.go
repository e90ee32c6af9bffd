// Package domaintest makes up reporting regimes, units, days and people's attempts for tests, plays them through the
// decisions of package domain, and checks any history of facts against the rules.
//
// Its promise: the same choices give the same world, the same attempts and the same facts, byte for byte. A seeded
// *rand.Rand chooses, or a property test that shrinks its choices. Check knows the rules a second time: it re-derives them
// from the facts and calls no decision, so that a broken decision and its check do not break together.
//
// Its failure model: it panics on its own mistakes, such as a world whose founding the domain refuses; attempts are
// allowed to be wrong, and what the domain says about them is returned.
package domaintest
