// Package web is the people's pages: filing, signing off, inspecting and operating, for whoever is signed in at a browser.
//
// Its promise: a page shows nothing its reader has no right to, by one table that lets nobody in who is not in it; a GET
// changes nothing; whatever changes something comes from our own pages and is recorded by the same commands as everywhere
// else; an answer is sent whole or not at all; no page needs a script, and none can be made to run another's.
//
// Its failure model: who is not signed in is asked to; who may not is told so, and nothing is recorded. What a person typed
// stays on the page that refuses it. When ledger, views or sessions cannot be reached the page says so with 503, and
// sending it again is safe: a form carries the key of its act, so that the act is recorded once.
package web
