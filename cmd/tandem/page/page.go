// Package page makes pages for people who read rather than run: an assessment, a plan, a wave, each as one HTML file. A page loads nothing and runs nothing, so it
// can be mailed, kept and printed; whatever a directory calls its objects is text in it.
package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html
var source string

var layout = template.Must(template.New("page").Parse(source))

// Page is one page.
type Page struct {
	Title    string
	Mark     *Mark // what it comes to; nil: it does not say
	Lead     []string
	Facts    []Fact
	Sections []Section

	Version string    // of the program
	Made    time.Time // when what it shows was looked at
	Source  string    // what it was made of
}

// Section is one part of a page.
type Section struct {
	Number   int // from 1, as cells name it
	Title    string
	Mark     *Mark
	Lead     []string
	Facts    []Fact
	Tables   []Table
	Findings []Finding
}

// Mark is a word with a colour: good, warn, bad, or none.
type Mark struct{ Text, Class string }

// Fact is a name and its value.
type Fact struct{ Name, Value string }

// Table is a table; each row has a cell for each column.
type Table struct {
	Caption string
	Columns []Column
	Rows    [][]Cell
}

// Column is the head of one.
type Column struct {
	Name   string
	Number bool
}

// Cell is one cell: a text, a mark where it has a class, or a link to a section of the page.
type Cell struct {
	Text, Class string
	Section     int // its number from 1; 0: no link
	Number      bool
}

// Finding is one thing that people should know, and what to do about it.
type Finding struct {
	Mark          Mark
	Code, Message string
	Count         string
	Examples      []string
	Fix           string
}

// Write writes a page as HTML.
func Write(w io.Writer, p Page) error {
	for i := range p.Sections {
		p.Sections[i].Number = i + 1
	}
	err := layout.Execute(w, struct {
		Page
		Made string
	}{p, p.Made.UTC().Format(time.RFC3339)})
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// Columns makes heads; names that begin with # are of numbers.
func Columns(names ...string) (out []Column) {
	for _, n := range names {
		name, number := strings.CutPrefix(n, "#")
		out = append(out, Column{Name: name, Number: number})
	}
	return out
}

// Text makes a cell of a text.
func Text(s string) Cell { return Cell{Text: s} }

// Count makes a cell of a number; zero is left out, so that what is there can be seen.
func Count(n int) Cell {
	if n == 0 {
		return Cell{Number: true}
	}
	return Cell{Text: strconv.Itoa(n), Number: true}
}

// marks are the words of severities, readiness and states of waves, and their colours.
var marks = map[string]string{"ready": "good", "completed": "good", "warnings": "warn", "warning": "warn", "waiting": "warn", "paused": "warn", "rolled-back": "warn",
	"blocked": "bad", "blocker": "bad", "failed": "bad", "aborted": "bad"}

// MarkOf makes a mark of a word.
func MarkOf(word string) *Mark { return &Mark{Text: word, Class: marks[word]} }

// Marked makes a cell of such a word.
func Marked(word string) Cell { return Cell{Text: word, Class: marks[word]} }
