// A counter: how often it was asked since it was started, as JSON.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

var (
	says  = "hello from go"
	asked atomic.Int64
)

func count(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"says": says, "asked": asked.Add(1)})
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", count)
	server := &http.Server{Addr: os.Getenv("HOST") + ":" + os.Getenv("PORT"), Handler: mux}

	ending, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	over := make(chan struct{})
	go func() {
		<-ending.Done()
		server.Shutdown(context.Background())
		close(over)
	}()

	log.Printf("listening on %s", server.Addr)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-over
}
