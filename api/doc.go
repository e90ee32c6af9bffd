// Package api is the ledger over HTTP: the routes under /v1, who may call them, what a refusal looks like, the feed of
// events, and the pages.
//
// Its promise: a request is judged by the instant its first byte was read, before anybody authenticated, parsed or queued
// it; a route nobody gave a rule is refused, and the program does not start; a refusal is a problem document (RFC 9457)
// with a stable type, in the caller's language, and has recorded nothing; a repeat under the same Idempotency-Key gives
// the first one's result, and a key that is used for something else is refused.
//
// Its failure model: when the log or the views cannot be reached the answer is 503 with Retry-After, and the caller
// repeats the request with the same key. A command whose outcome is unknown says so, and is safe to repeat. A read that
// asks for a position the views have not reached waits, then gets 503 with the lag, never an older answer. A handler that
// panics answers 500 and the process goes on.
//
// One request's way: Handler.ServeHTTP takes the time, the mux finds the route, route.serve authenticates, authorises by
// the one table in policy.go, calls the handler, and writes its answer or its error; problem.go is the one place where an
// error becomes a status.
package api
