package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
)

// leastColumns is the narrowest that a column becomes so that a table fits.
const leastColumns = 6

// cut shortens text to so many columns of a terminal, with an ellipsis where something is missing. A column is no byte and no letter: some take two, some none.
func cut(s string, columns int) string {
	return runewidth.Truncate(s, columns, "…")
}

// table prints lines of columns, which fit the terminal where there is one.
func table(w io.Writer, head string, rows [][]string) { tableWithin(w, columns(), head, rows) }

// tableWithin prints lines of columns that fit a limit; 0: none. What does not fit is taken from the widest columns.
func tableWithin(w io.Writer, limit int, head string, rows [][]string) {
	all := append([][]string{strings.Split(head, "|")}, rows...)
	widths := []int{}
	for _, r := range all {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], runewidth.StringWidth(c))
		}
	}
	if limit > 0 {
		narrow(widths, limit)
	}
	for n, r := range all {
		var b strings.Builder
		for i, c := range r {
			c = cut(c, widths[i])
			b.WriteString(c)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-runewidth.StringWidth(c)+2))
			}
		}
		line := strings.TrimRight(b.String(), " ")
		if n == 0 {
			line = bold(line)
		}
		fmt.Fprintln(w, line)
	}
}

// narrow takes columns from the widest until all fit, with two between them. The first names what the line is about, and people copy it: it is cut last.
func narrow(widths []int, limit int) {
	for {
		total := 2 * (len(widths) - 1)
		for _, n := range widths {
			total += n
		}
		if len(widths) == 0 || total <= limit {
			return
		}
		from := widths[1:]
		if len(from) == 0 || slices.Max(from) <= leastColumns {
			from = widths[:1]
		}
		widest := slices.Index(from, slices.Max(from))
		if from[widest] <= leastColumns {
			return
		}
		from[widest]--
	}
}

// labelWidth is that of the words before the lines of a status.
const labelWidth = 12

// labelled prints text after a word, wrapped so that it fits a limit.
func labelled(w io.Writer, limit int, label, text string, paint func(string) string) {
	label = fmt.Sprintf("%-*s", labelWidth, label)
	for i, line := range wrapped(text, max(20, limit-labelWidth)) {
		if i > 0 {
			label = strings.Repeat(" ", labelWidth)
		}
		fmt.Fprintln(w, paint(label+line))
	}
}

// wrapped breaks text between words into lines of so many columns at most; a word that is longer is cut.
func wrapped(text string, columns int) []string {
	var out []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		word = cut(word, columns)
		switch {
		case line == "":
			line = word
		case runewidth.StringWidth(line)+1+runewidth.StringWidth(word) <= columns:
			line += " " + word
		default:
			out, line = append(out, line), word
		}
	}
	return append(out, line)
}

// plainly leaves text as it is.
func plainly(s string) string { return s }

// age returns how long ago a time is, or how soon it comes, in one unit: "12s", "3m", "in 5h". "–" where there is none.
func age(t string, now time.Time) string {
	at, err := time.Parse(time.RFC3339, t)
	if err != nil {
		return "–"
	}
	if d := at.Sub(now); d > 0 {
		return "in " + span(d)
	}
	return span(now.Sub(at))
}

// span returns a duration in one unit.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
