// Package grid writes a table for a person, as wide as their terminal at most. It makes
// nothing visible: cells are safe to print.
package grid

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// Grid is a table for a person, as wide as a terminal at most.
type Grid struct {
	Rows   [][]string // the first one is the head; all have as many cells
	Give   []Give     // the columns that shrink if there is too little room, the first one first
	Middle int        // the column that is cut in its middle; the first one never is
}

// Give is a column that gives way, down to a width.
type Give struct{ Column, Least int }

// Columns is how wide a file's terminal is; 0 where it is none.
func Columns(f *os.File) int {
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return w
}

const gridGap = 2

// Write writes the table into so many columns; 0 is as many as it needs.
func (g Grid) Write(out io.Writer, room int) {
	widths := make([]int, len(g.Rows[0]))
	total := gridGap * (len(widths) - 1)
	for _, row := range g.Rows {
		for i, cell := range row {
			widths[i] = max(widths[i], wide(cell))
		}
	}
	for _, w := range widths {
		total += w
	}
	for _, c := range g.Give {
		if room == 0 || total <= room {
			break
		}
		less := min(total-room, max(widths[c.Column]-c.Least, 0))
		widths[c.Column], total = widths[c.Column]-less, total-less
	}
	for _, row := range g.Rows {
		var b strings.Builder
		for i, cell := range row {
			if i > 0 && i == g.Middle {
				cell = cutMiddle(cell, widths[i])
			}
			cell = cutTo(cell, widths[i])
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-wide(cell)+gridGap))
			}
		}
		fmt.Fprintln(out, strings.TrimRight(b.String(), " "))
	}
}

// wide is how many columns a text takes.
func wide(s string) int {
	n := 0
	for _, r := range s {
		n += runeWide(r)
	}
	return n
}

func runeWide(r rune) int {
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

// cutTo cuts a text to most columns. A mark shows the cut.
func cutTo(s string, most int) string {
	if wide(s) <= most {
		return s
	}
	var b strings.Builder
	n := 1 // the mark
	for _, r := range s {
		if n += runeWide(r); n > most {
			break
		}
		b.WriteRune(r)
	}
	return b.String() + "…"
}

// cutMiddle cuts a text to most columns in the middle, because its end says more.
func cutMiddle(s string, most int) string {
	if wide(s) <= most || most < 8 {
		return s
	}
	front, back := most/4, most-most/4-1
	runes := []rune(s)
	a, n := 0, 0
	for ; a < len(runes) && n+runeWide(runes[a]) <= front; a++ {
		n += runeWide(runes[a])
	}
	b := len(runes)
	for n = 0; b > a && n+runeWide(runes[b-1]) <= back; b-- {
		n += runeWide(runes[b-1])
	}
	return string(runes[:a]) + "…" + string(runes[b:])
}
