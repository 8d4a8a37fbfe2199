// Command picture makes a picture (SVG) of a command's terminal output. It reads the
// output, with its colours, from standard input: make picture.
package main

import (
	"bufio"
	"fmt"
	"html"
	"os"
	"regexp"
	"strings"
)

// The measures of a character, in pixels.
const (
	wide   = 8.43 // of the font
	high   = 19
	margin = 16
)

var colour = regexp.MustCompile("\x1b\\[([0-9;]*)m")

var classes = map[string]string{"1;31": "red", "33": "amber", "32": "green"}

func main() {
	var lines []string
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		lines = append(lines, strings.TrimRight(in.Text(), "\r"))
	}
	if err := in.Err(); err != nil || len(lines) == 0 {
		fmt.Fprintln(os.Stderr, "picture: nothing to show:", err)
		os.Exit(1)
	}
	width := 80 * float64(wide)
	w, h := int(width)+2*margin, len(lines)*high+2*margin
	fmt.Printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="a report of mcpen try">
<style>text { font: 14px ui-monospace, "DejaVu Sans Mono", monospace; fill: #e6edf3; white-space: pre } .red { fill: #ff7b82; font-weight: bold } .amber { fill: #e3b341 } .green { fill: #56d364 }</style>
<rect width="%d" height="%d" rx="8" fill="#0d1117"/>
`, w, h, w, h, w, h)
	for i, l := range lines {
		fmt.Printf("<text x=\"%d\" y=\"%d\" xml:space=\"preserve\">%s</text>\n", margin, margin+high*i+14, spans(l))
	}
	fmt.Println("</svg>")
}

// spans is a line with its colours as classes.
func spans(line string) string {
	var b strings.Builder
	open := false
	for len(line) > 0 {
		m := colour.FindStringSubmatchIndex(line)
		if m == nil {
			b.WriteString(html.EscapeString(line))
			break
		}
		b.WriteString(html.EscapeString(line[:m[0]]))
		if open {
			b.WriteString("</tspan>")
			open = false
		}
		if class := classes[line[m[2]:m[3]]]; class != "" {
			fmt.Fprintf(&b, `<tspan class="%s">`, class)
			open = true
		}
		line = line[m[1]:]
	}
	if open {
		b.WriteString("</tspan>")
	}
	return b.String()
}
