//go:build ignore

// Files, goroutines, processes, sockets and timers, in Go.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	dir, err := os.MkdirTemp("", "demo")
	must(err)
	defer os.RemoveAll(dir)
	must(os.WriteFile(filepath.Join(dir, "f"), make([]byte, 1<<20), 0o600))
	src, err := os.Open(filepath.Join(dir, "f"))
	must(err)
	dst, err := os.Create(filepath.Join(dir, "g"))
	must(err)
	_, err = io.Copy(dst, src) // copy_file_range
	must(err)
	root, err := os.OpenRoot(dir)
	must(err)
	must(root.MkdirAll("a/b", 0o755))
	must(root.WriteFile("a/b/c", []byte("x"), 0o644))
	must(root.Chmod("a/b/c", 0o600))
	must(root.RemoveAll("a"))

	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() { time.Sleep(time.Millisecond); _, _ = os.Stat(dir) })
	}
	wait.Wait()

	out, err := exec.Command("sh", "-c", "echo hi").Output()
	if must(err); string(out) != "hi\n" {
		log.Fatal(string(out))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := exec.CommandContext(ctx, "sleep", "60").Run(); err == nil {
		log.Fatal("a process was not killed")
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	must(syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	<-signals

	listener, err := net.Listen("tcp", "127.0.0.1:0") // tries MPTCP first
	must(err)
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	response, err := http.Get("http://" + listener.Addr().String())
	must(err)
	body, err := io.ReadAll(response.Body)
	if must(err); string(body) != "hello" {
		log.Fatal(string(body))
	}
	_, err = net.LookupHost("localhost")
	must(err)
	_, err = net.Interfaces()
	must(err)
	unix, err := net.Listen("unix", filepath.Join(dir, "sock"))
	must(err)
	unix.Close()
	fmt.Println("ok")
}
