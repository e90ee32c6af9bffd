// Command cmd runs the test server on a port of its own until it is interrupted. It keeps nothing on disk: it is for
// trying out clients and for demonstrations, not for data anybody needs.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:2113", "host:port to listen on")
	version := flag.String("version", esdbtest.DefaultVersion, "server version to report")
	limit := flag.Int("max-append-bytes", esdbtest.DefaultMaxAppendSizeBytes, "size limit of one append")
	flag.Parse()

	server, err := esdbtest.Start(esdbtest.Options{Listen: *listen, Version: *version, MaxAppendSizeBytes: *limit})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("listening: %s (in memory; nothing is kept when this process ends)\n", server.URL())
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	<-interrupted
	server.Close()
}
