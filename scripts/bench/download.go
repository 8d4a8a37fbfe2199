package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The download uses HTTP, which peers with proxies can carry.
const (
	webPeer  = "203.0.113.5:8080"
	download = 256 << 20 // bytes

	srtPackage = "@anthropic-ai/sandbox-runtime"
)

// downloads measures an HTTP download by curl, bare, through mcpen, and through
// srt (npm's @anthropic-ai/sandbox-runtime), which puts a proxy into curl's
// environment. dir is where profiles may be.
func downloads(bin, dir string, rounds int) error {
	curl, err := exec.LookPath("curl")
	if err != nil {
		fmt.Println("HTTP download: curl is not here, not measured")
		return nil
	}
	l, err := net.Listen("tcp", webPeer)
	if err != nil {
		return err
	}
	defer l.Close()
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(download))
		_, _ = io.CopyN(w, zeros{}, download)
	}))
	get := []string{curl, "-sS", "--fail", "-o", "/dev/null", "http://" + webPeer + "/"}
	kinds := []*kind{
		{name: "bare", argv: get},
		{name: "mcpen", argv: append([]string{bin, "run", "--quiet", "--profile", filepath.Join(dir, "web.toml"), "--"}, get...)},
	}
	if srt, err := runtimeOf(dir); err != nil {
		fmt.Printf("%-24s %-12s not measured: %v\n", "HTTP download", "srt", err)
	} else {
		kinds = append(kinds, &kind{name: "srt", argv: append(srt, get...)})
	}
	for range rounds {
		for _, k := range kinds {
			began := time.Now()
			if out, err := exec.Command(k.argv[0], k.argv[1:]...).CombinedOutput(); err != nil {
				return fmt.Errorf("%v: %w: %.200s", k.argv, err, out)
			}
			k.took = append(k.took, time.Since(began))
		}
	}
	report("HTTP download (256 MiB)", kinds, 1)
	return nil
}

// runtimeOf is the command line of srt with the peer allowed and nothing else.
func runtimeOf(dir string) ([]string, error) {
	path, err := exec.LookPath("srt")
	if err != nil {
		path = install(srtPackage, "srt")
	}
	if path == "" {
		return nil, errors.New("npm is not here")
	}
	for _, tool := range []string{"bwrap", "socat", "rg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("it needs %s, which is not here", tool)
		}
	}
	host, _, err := net.SplitHostPort(webPeer)
	if err != nil {
		return nil, err
	}
	settings, err := json.Marshal(map[string]any{
		"network":    map[string]any{"allowedDomains": []string{host}, "deniedDomains": []string{}},
		"filesystem": map[string]any{"denyRead": []string{}, "allowWrite": []string{"/tmp"}, "denyWrite": []string{}},
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "srt.json")
	if err := os.WriteFile(file, settings, 0o644); err != nil {
		return nil, err
	}
	try := []string{path, "--settings", file, "--"}
	if err := finish(exec.Command(path, "--settings", file, "--", "true")); err != nil {
		return nil, err
	}
	return try, nil
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
