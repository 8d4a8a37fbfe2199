package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A failure that the table leaves out is a promise that nobody looked at.
func TestTableOfMachines(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"machines": "# name suite arch setting\none trixie amd64 plain\ntwo sid amd64 plain\nthree sid amd64 x init=/bin/sh\n",
		"one.results": "machine\tfacts: Linux 6.12\ndoctor | a | b\tc\ndoctor is of one mind\theld\ndoctor and run agree\theld\n" +
			"memory limit\tFAILED: exit 137\nprocess limit\theld\nescape\theld: 2 tests\nlife\trefused: no | bar\nnpm server\theld\nPyPI server\tFAILED: why not\nend\ncommit\tfacts: abc, 5 s\n",
		"three.results": "yama: doctor and run agree\theld\nyama: egress\tweaker\nproc: doctor and run agree\trefused: why\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := machines(filepath.Join(dir, "machines"), dir)
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ = strings.Cut(got, "---|\n")
	want := "| one | Linux 6.12; abc, 5 s | held | – | memory limit FAILED (exit 137) | – | – | held, 2 tests | refused (no / bar) | PyPI server FAILED (why not) | – | – | – |\n" +
		"| three, yama |  | held | – | – | – | weaker | – | – | – | – | – | – |\n" +
		"| three, proc | as above | doctor and run agree refused (why) | – | – | – | – | – | – | – | – | – | – |\n" +
		"\nNot run: two.\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
