package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// person is one row of the file.
type person struct {
	ID        string // the employee's number, which never changes and is never given to somebody else
	GivenName string
	Surname   string
	UserName  string // the sign-in name
	Start     time.Time
	End       time.Time // last day of the contract; zero is none
	Manager   string    // the manager's number, of somebody in the file or not

	JobTitle, Department, Company, Type      string
	Street, City, PostalCode, State, Country string
	Phone, Mobile                            string
	line                                     int
}

func (p person) shown() string { return p.GivenName + " " + p.Surname }

// active reports whether the contract has begun and has not ended.
func (p person) active(day time.Time) bool {
	today := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC)
	return !today.Before(p.Start) && (p.End.IsZero() || !today.After(p.End))
}

// columns are those that a file may have, and where each goes. Those of needed must be there, with a value in each row.
var columns = map[string]func(*person, string) error{
	"employeeId": func(p *person, v string) error { p.ID = v; return nil },
	"givenName":  func(p *person, v string) error { p.GivenName = v; return nil },
	"surname":    func(p *person, v string) error { p.Surname = v; return nil },
	"userName":   func(p *person, v string) error { p.UserName = v; return nil },
	"start":      func(p *person, v string) (err error) { p.Start, err = day(v); return err },
	"end":        func(p *person, v string) (err error) { p.End, err = day(v); return err },
	"manager":    func(p *person, v string) error { p.Manager = v; return nil },
	"jobTitle":   func(p *person, v string) error { p.JobTitle = v; return nil },
	"department": func(p *person, v string) error { p.Department = v; return nil },
	"company":    func(p *person, v string) error { p.Company = v; return nil },
	"type":       func(p *person, v string) error { p.Type = v; return nil },
	"street":     func(p *person, v string) error { p.Street = v; return nil },
	"city":       func(p *person, v string) error { p.City = v; return nil },
	"postalCode": func(p *person, v string) error { p.PostalCode = v; return nil },
	"state":      func(p *person, v string) error { p.State = v; return nil },
	"country":    func(p *person, v string) error { p.Country = v; return nil },
	"phone":      func(p *person, v string) error { p.Phone = v; return nil },
	"mobile":     func(p *person, v string) error { p.Mobile = v; return nil },
}

var needed = []string{"employeeId", "givenName", "surname", "userName", "start"}

func day(v string) (time.Time, error) {
	if v == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, v)
	if err != nil {
		return t, fmt.Errorf("%q is no day: such as 2026-12-01", v)
	}
	return t, nil
}

// fileError is everything that is wrong with a file.
type fileError struct{ mistakes []mistake }

// mistake is one of them.
type mistake struct {
	line int // 0 if it is about the file as a whole
	text string
}

// about is an error that concerns a file as a whole.
func about(text string) error { return &fileError{[]mistake{{0, text}}} }

func (e *fileError) Error() string {
	slices.SortStableFunc(e.mistakes, func(a, b mistake) int { return a.line - b.line })
	text := ""
	for _, m := range e.mistakes {
		text += m.text + "\nhr: "
	}
	return text + "nothing was sent"
}

func (e *fileError) add(file string, line int, format string, args ...any) {
	e.mistakes = append(e.mistakes, mistake{line, fmt.Sprintf("%s:%d: %s", file, line, fmt.Sprintf(format, args...))})
}

// readPeople reads a file, and returns all that is wrong with it as a *fileError.
func readPeople(file string) ([]person, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, about(err.Error())
	}
	defer f.Close()
	return parsePeople(file, f)
}

func parsePeople(file string, in io.Reader) ([]person, error) {
	wrong := &fileError{}
	r := csv.NewReader(in)
	names, err := r.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty: its first line names the columns")
		}
		wrong.add(file, 1, "%v", err)
		return nil, wrong
	}
	names[0] = strings.TrimPrefix(names[0], "\ufeff") // which spreadsheets write
	checkColumns(wrong, file, names)
	if len(wrong.mistakes) > 0 {
		return nil, wrong
	}
	var people []person
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line := 0
			var at *csv.ParseError
			if errors.As(err, &at) {
				line, err = at.Line, at.Err
			}
			wrong.add(file, line, "%v", err)
			break
		}
		line, _ := r.FieldPos(0)
		people = append(people, readPerson(wrong, file, line, names, row))
	}
	checkPeople(wrong, file, people)
	if len(wrong.mistakes) > 0 {
		return nil, wrong
	}
	return people, nil
}

func checkColumns(wrong *fileError, file string, names []string) {
	for i, name := range names {
		switch {
		case columns[name] == nil:
			wrong.add(file, 1, "there is no column %q", name)
		case slices.Contains(names[:i], name):
			wrong.add(file, 1, "the column %s stands twice", name)
		}
	}
	for _, name := range needed {
		if !slices.Contains(names, name) {
			wrong.add(file, 1, "the column %s is missing", name)
		}
	}
}

func readPerson(wrong *fileError, file string, line int, names, row []string) person {
	p := person{line: line}
	for i, name := range names {
		v := strings.TrimSpace(row[i])
		if v == "" && slices.Contains(needed, name) {
			wrong.add(file, line, "%s has no value", name)
		} else if err := columns[name](&p, v); err != nil {
			wrong.add(file, line, "%s %v", name, err)
		}
	}
	return p
}

// checkPeople looks at rows together: numbers and sign-in names are one person's, and nobody is above himself.
func checkPeople(wrong *fileError, file string, people []person) {
	numbers, names := map[string]person{}, map[string]person{}
	for _, p := range people {
		if before, twice := numbers[p.ID]; twice && p.ID != "" {
			wrong.add(file, p.line, "the employeeId %s is that of line %d too", p.ID, before.line)
		}
		if before, twice := names[strings.ToLower(p.UserName)]; twice && p.UserName != "" {
			wrong.add(file, p.line, "the userName %s is that of line %d too", p.UserName, before.line)
		}
		if !p.End.IsZero() && p.End.Before(p.Start) {
			wrong.add(file, p.line, "the contract ends before it begins")
		}
		numbers[p.ID], names[strings.ToLower(p.UserName)] = p, p
	}
	for _, p := range people {
		seen := map[string]bool{}
		for at := p; at.Manager != "" && !seen[at.ID]; at = numbers[at.Manager] {
			seen[at.ID] = true
			if at.Manager == p.ID {
				wrong.add(file, p.line, "%s is above himself or herself, by way of %d people", p.ID, len(seen))
			}
		}
	}
}
