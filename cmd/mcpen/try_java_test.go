package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"testing"

	"mcpen/sandbox/trial"
)

// javaServer asks by both of Java's clients, each of which has trust of its own.
const javaServer = `
import java.net.URI;
import java.net.http.*;
public class Fetch {
    public static void main(String[] args) throws Exception {
        HttpRequest q = HttpRequest.newBuilder(URI.create("https://api.java.example.com/v1/now")).build();
        HttpClient.newHttpClient().send(q, HttpResponse.BodyHandlers.ofString());
        try (java.io.InputStream in = new java.net.URL("https://old.java.example.com/v0").openStream()) { in.readAllBytes(); }
        new java.io.BufferedReader(new java.io.InputStreamReader(System.in)).readLine();
    }
}
`

// What a Java server sends by TLS is seen as that of any other server is.
func TestTryJava(t *testing.T) {
	for _, need := range []string{"java", "javac"} { // java runs a source file with the compiler's modules
		if _, err := exec.LookPath(need); err != nil {
			t.Skipf("no %s: whether a trial ends Java's TLS is not tested", need)
		}
	}
	w := triedWorld(t)
	w.write(t, "java/Fetch.java", javaServer)
	out, errs, exit := w.trying(t, "--json", "--watch", "0.1", "--", "java", "java/Fetch.java")
	var r trial.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || exit != 0 {
		t.Fatalf("exit status %d: %v: %s%s", exit, err, out, errs)
	}
	var urls []string
	for _, q := range r.Requests {
		urls = append(urls, q.Method+" "+q.URL)
	}
	slices.Sort(urls)
	if want := []string{"GET https://api.java.example.com/v1/now", "GET https://old.java.example.com/v0"}; !slices.Equal(urls, want) {
		t.Errorf("%q were recorded, want %q; its last words: %s", urls, want, r.Start.Words)
	}
}
