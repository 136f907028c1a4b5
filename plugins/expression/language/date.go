package language

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Dates are moments in UTC. As text they are written as .NET writes them without a culture: 3/16/2020 7:00:00 AM.

var intervals = []string{"yyyy", "m", "d", "ww", "h", "n", "s"}

var dateFunctions = []function{
	{name: "CDate", about: "the moment that a text names, in UTC", params: []parameter{{name: "source", kind: Date}}, result: Date, plain: func(_ *run, _ *step, a []value) (value, error) { return a[0], nil },
		examples: []Example{
			{Expression: `CDate([StatusHireDate])`, Attributes: of("StatusHireDate", "2020-03-16-07:00"), Result: `3/16/2020 7:00:00 AM`}, {Expression: `CDate("2021-06-30+08:00")`, Result: `6/29/2021 4:00:00 PM`},
			{Expression: `CDate("2009-06-15T01:45:30-07:00")`, Result: `6/15/2009 8:45:30 AM`}, {Expression: `CDate(NULL)`, Result: `NULL`},
		}},
	{name: "DateAdd", about: "the moment an interval later, or earlier: of years (yyyy), months (m), days (d), weeks (ww), hours (h), minutes (n) or seconds (s)", result: Date, check: checkInterval, plain: dateAdd,
		params: []parameter{{name: "interval", kind: Text}, {name: "number", kind: Number}, {name: "date", kind: Date}},
		examples: []Example{
			{Expression: `DateAdd("d", 7, CDate([StatusHireDate]))`, Attributes: of("StatusHireDate", "2012-03-16-07:00"), Result: `3/23/2012 7:00:00 AM`},
			{Expression: `DateAdd("d", -10, "2012-03-16-07:00")`, Result: `3/6/2012 7:00:00 AM`}, {Expression: `DateAdd("ww", 2, "2012-03-16-07:00")`, Result: `3/30/2012 7:00:00 AM`},
			{Expression: `DateAdd("m", 10, "2012-03-16-07:00")`, Result: `1/16/2013 7:00:00 AM`}, {Expression: `DateAdd("yyyy", 2, "2012-03-16-07:00")`, Result: `3/16/2014 7:00:00 AM`},
			{Expression: `DateAdd("m", 1, "2024-01-31")`, Result: `2/29/2024 12:00:00 AM`},
		}},
	{name: "DateDiff", about: "how many whole intervals the second moment is later than the first; the intervals are those of DateAdd", result: Number, check: checkInterval, plain: dateDiff,
		params: []parameter{{name: "interval", kind: Text}, {name: "date1", kind: Date}, {name: "date2", kind: Date}},
		examples: []Example{
			{Expression: `DateDiff("d", "2021-08-18+08:00", "2021-08-31+08:00")`, Result: `13`}, {Expression: `DateDiff("d", "8/25/2021 5:41:18 PM", "2012-03-16-07:00")`, Result: `-3449`},
			{Expression: `DateDiff("ww", "8/25/2021 5:41:18 PM", "2012-03-16-07:00")`, Result: `-492`}, {Expression: `DateDiff("m", "8/25/2021 5:41:18 PM", "2012-03-16-07:00")`, Result: `-113`},
			{Expression: `DateDiff("yyyy", "8/25/2021 5:41:18 PM", "2012-03-16-07:00")`, Result: `-9`}, {Expression: `DateDiff("h", "2021-08-24", "2021-08-25")`, Result: `24`},
			{Expression: `DateDiff("n", "2021-08-24", "2021-08-25")`, Result: `1440`}, {Expression: `DateDiff("s", "2021-08-24", "2021-08-25")`, Result: `86400`},
		}},
	{name: "DateFromNum", about: "the moment that a number of Active Directory names: intervals of 100 ns since 1601", params: []parameter{{name: "value", kind: Number}}, result: Date, plain: fromFileTime,
		examples: []Example{{Expression: `DateFromNum(129699324000000000)`, Result: `1/1/2012 11:00:00 PM`}, {Expression: `DateFromNum(NULL)`, Result: `NULL`}}},
	{name: "NumFromDate", about: "the number by which Active Directory names a moment, as accountExpires wants it", params: []parameter{{name: "date", kind: Date}}, result: Number, plain: toFileTime,
		examples: []Example{
			{Expression: `NumFromDate(CDate("2012-01-01 23:00:00"))`, Result: `129699324000000000`},
			{Expression: `NumFromDate(Join("", FormatDateTime([ContractEndDate],, "yyyy-MM-ddzzz", "yyyy-MM-dd"), " 23:59:59-08:00"))`, Attributes: of("ContractEndDate", "2020-12-31-08:00"), Result: `132539615990000000`},
		}},
	{name: "FormatDateTime", about: "a date written in one .NET format, written in another", result: Text, each: true, check: checkFormats, plain: formatDateTime,
		params: []parameter{source, {name: "dateTimeStyles", kind: Text, optional: true}, {name: "inputFormat", kind: Text}, {name: "outputFormat", kind: Text}},
		examples: []Example{
			{Expression: `FormatDateTime([extensionAttribute1],, "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")`, Attributes: of("extensionAttribute1", "20150123105347.1Z"), Result: `"2015-01-23"`},
			{Expression: `FormatDateTime("3/7/2026 11:05:00 PM",, "M/d/yyyy hh:mm:ss tt", "d. MMMM yyyy 'at' HH:mm")`, Result: `"7. March 2026 at 23:05"`},
			{Expression: `FormatDateTime([endDate],, "yyyy-MM-dd", "M/d/yy")`, Result: `""`},
		}},
}

// moments are the forms in which a date may come: those of ISO 8601, of .NET without a culture, of Graph and of the example of CDate.
var moments = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02Z07:00",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02",
	"1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "1/2/2006", "20060102150405.0Z07:00", "20060102150405Z07:00",
}

// moment makes a date of a value, or says why it is none. A text without an offset is in UTC.
func moment(v value) (value, string) {
	t := strings.TrimSpace(v.plain())
	for _, form := range moments {
		if when, err := time.Parse(form, t); err == nil && v.kind != Texts {
			return dateValue(when), ""
		}
	}
	return null, fmt.Sprintf("%s is no date such as 2026-11-29 or 2026-11-29T08:00:00Z", v)
}

func checkInterval(c *compiler, s *step) {
	if i := s.args[0]; i.kind == textNode {
		for _, known := range intervals {
			if i.text == known {
				return
			}
		}
		c.complain(i.at, "", "the interval of %s is one of %s", s.text, strings.Join(intervals, ", "))
	}
}

// lengths are the intervals that have always the same length.
var lengths = map[string]time.Duration{"d": 24 * time.Hour, "ww": 7 * 24 * time.Hour, "h": time.Hour, "n": time.Minute, "s": time.Second}

// dateAdd keeps the day within its month, as .NET does: a month after January 31 is the last day of February.
func dateAdd(_ *run, _ *step, a []value) (value, error) {
	interval, n, date := a[0].plain(), a[1].number, a[2]
	if date.kind == Null {
		return null, nil
	}
	if n > 400*366*24*3600 || n < -400*366*24*3600 {
		return null, fmt.Errorf("%d is too much", n)
	}
	months := map[string]int64{"m": 1, "yyyy": 12}[interval]
	unit, fixed := lengths[interval]
	switch {
	case months > 0 && (n > 10000*12 || n < -10000*12), fixed && (n > math.MaxInt64/int64(unit) || n < math.MinInt64/int64(unit)):
		return null, fmt.Errorf("%d is too much", n)
	case months > 0:
		date.when = addMonths(date.when, int(n*months))
	case fixed:
		date.when = date.when.Add(time.Duration(n) * unit)
	default:
		return null, fmt.Errorf("the interval %s is none of %s", a[0], strings.Join(intervals, ", "))
	}
	if y := date.when.Year(); y < 1 || y > 9999 {
		return null, errors.New("the year is not between 1 and 9999")
	}
	return dateValue(date.when), nil
}

func addMonths(t time.Time, n int) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}

// dateDiff counts whole intervals. The page's example for weeks counts one more than whole ones, and its other examples do not.
func dateDiff(_ *run, _ *step, a []value) (value, error) {
	if a[1].kind == Null || a[2].kind == Null {
		return null, nil
	}
	from, to := a[1].when, a[2].when
	switch interval := a[0].plain(); {
	case interval == "m":
		return numberValue(monthsBetween(from, to)), nil
	case interval == "yyyy":
		return numberValue(monthsBetween(from, to) / 12), nil
	case lengths[interval] > 0:
		seconds := to.Unix() - from.Unix()
		if part := int64(to.Nanosecond() - from.Nanosecond()); seconds > 0 && part < 0 {
			seconds--
		} else if seconds < 0 && part > 0 {
			seconds++
		}
		return numberValue(seconds / int64(lengths[interval]/time.Second)), nil
	}
	return null, fmt.Errorf("the interval %s is none of %s", a[0], strings.Join(intervals, ", "))
}

func monthsBetween(from, to time.Time) int64 {
	if to.Before(from) {
		return -monthsBetween(to, from)
	}
	n := (to.Year()-from.Year())*12 + int(to.Month()) - int(from.Month())
	if addMonths(from, n).After(to) {
		n--
	}
	return int64(n)
}

// fileTimeEpoch is 1601-01-01 in seconds of Unix (MS-DTYP 2.3.3).
const fileTimeEpoch = -11644473600

func fromFileTime(_ *run, _ *step, a []value) (value, error) {
	switch n := a[0].number; {
	case a[0].kind == Null:
		return null, nil
	case n < 0 || n == math.MaxInt64:
		return null, fmt.Errorf("%d names no moment", n)
	default:
		return dateValue(time.Unix(fileTimeEpoch+n/1e7, n%1e7*100)), nil
	}
}

func toFileTime(_ *run, _ *step, a []value) (value, error) {
	if a[0].kind == Null {
		return null, nil
	}
	seconds := a[0].when.Unix() - fileTimeEpoch
	if seconds < 0 {
		return null, fmt.Errorf("%s is before 1601", a[0])
	}
	return numberValue(seconds*1e7 + int64(a[0].when.Nanosecond()/100)), nil
}

// formats are the layouts of a FormatDateTime whose formats are written out.
type formats struct{ in, out string }

func checkFormats(c *compiler, s *step) {
	var f formats
	if st := s.args[1]; st.kind != omittedNode && (st.kind != textNode || st.text != "") {
		c.complain(st.at, "leave it out between two commas", "other styles than the usual ones are not offered")
	}
	for i, to := range map[int]*string{2: &f.in, 3: &f.out} {
		a := s.args[i]
		if a.kind != textNode {
			c.complain(a.at, "", "formats of FormatDateTime are written as texts in quotes")
			continue
		}
		layout, err := dateLayout(a.text, i == 3)
		if err != nil {
			c.complain(a.at, "https://learn.microsoft.com/dotnet/standard/base-types/custom-date-and-time-format-strings", "%s", err)
		}
		*to = layout
	}
	s.prepared = f
}

// formatDateTime keeps the offset of the date that it reads, as RoundtripKind does.
func formatDateTime(_ *run, s *step, a []value) (value, error) {
	text := strings.TrimSpace(a[0].plain())
	if text == "" {
		return textValue(""), nil
	}
	f, _ := s.prepared.(formats)
	when, err := time.Parse(f.in, text)
	if err != nil {
		return null, errorAt(s.args[0].at, "", "%s is not written as %s", a[0], s.args[2].node)
	}
	return textValue(when.Format(f.out)), nil
}
