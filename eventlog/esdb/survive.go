package esdb

import (
	"bytes"
	"io"
	"log"
)

// SurviveClient keeps the process alive at an event without a time of creation. No server sends one, but the client of
// v4.2.0 calls log.Fatalf there (createdFromProto of protobuf_utils.go), which would end every request under way for one
// message that cannot be read. It is for main, once, before the first Open: it is the whole process's own log that has to
// be changed, since that is what the client writes to before it exits. Every other line goes on to where it went.
func SurviveClient() { log.SetOutput(lastWords{log.Writer()}) }

// lastWords panics with the client's last words, so that it does not come to its exit: every call runs where guarded
// turns the panic into an error.
type lastWords struct{ io.Writer }

func (w lastWords) Write(line []byte) (int, error) {
	if i := bytes.Index(line, []byte("Failed to parse created date as int")); i >= 0 {
		panic(noCreated(bytes.TrimSpace(line[i:])))
	}
	return w.Writer.Write(line)
}

// noCreated is the panic of lastWords.
type noCreated string

func (n noCreated) String() string {
	return "an event has no time of creation, what answers there is no EventStoreDB or KurrentDB that works: " + string(n)
}
