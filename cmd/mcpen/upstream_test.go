package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// upstream starts a proxy on the loopback, which leads all connections to itself and
// records their destinations. Its address is in $UPSTREAM. It refuses "no.example".
//
//	upstream
func upstream(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: upstream")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { lead(c) })
		}
	})
	ts.Defer(func() { l.Close(); serving.Wait() })
	ts.Setenv("UPSTREAM", l.Addr().String())
}

// lead serves one connection to a proxy.
func lead(c net.Conn) {
	defer c.Close()
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil || req.Method != http.MethodConnect {
		return
	}
	if strings.HasPrefix(req.Host, "no.example") {
		_, _ = io.WriteString(c, "HTTP/1.1 403 Not Here\r\n\r\n")
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nasked for "+req.Host+" by "+req.Header.Get("Proxy-Authorization")+"\n")
}
