package language

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Functions that change the kind or the coding of a value.
var codeFunctions = []function{
	{name: "CStr", about: "the value as text", params: []parameter{anything}, result: Text, plain: func(r *run, s *step, a []value) (value, error) {
		t, err := r.single(s.args[0], a[0])
		return textValue(t), err
	}, examples: []Example{{Expression: `CStr(15)`, Result: `"15"`}, {Expression: `CStr(True)`, Result: `"True"`}, {Expression: `CStr(NULL)`, Result: `""`}}},
	{name: "CNum", page: connectPage, about: "the text as a whole number", params: []parameter{anything}, result: Number, plain: toNumber,
		examples: []Example{{Expression: `CNum("15")`, Result: `15`}, {Expression: `CNum(NULL)`, Result: `NULL`}}},
	{name: "CBool", about: "False for 0, False and nothing, True for other numbers and for True", params: []parameter{anything}, result: Boolean, plain: toBool,
		examples: []Example{
			{Expression: `CBool([a] = [b])`, Attributes: map[string][]string{"a": {"x"}, "b": {"x"}}, Result: `True`}, {Expression: `CBool(0)`, Result: `False`},
			{Expression: `CBool("2")`, Result: `True`}, {Expression: `CBool("false")`, Result: `False`}, {Expression: `CBool(NULL)`, Result: `False`},
		}},
	{name: "BitAnd", about: "the bits that two numbers share", params: []parameter{{name: "value1", kind: Number}, {name: "value2", kind: Number}}, result: Number,
		plain:    func(_ *run, _ *step, a []value) (value, error) { return numberValue(a[0].number & a[1].number), nil },
		examples: []Example{{Expression: `BitAnd(&HF, &HF7)`, Result: `7`}, {Expression: `BitAnd(514, 2)`, Result: `2`}}},
	{name: "BitOr", page: connectPage, about: "the bits that one of two numbers has", params: []parameter{{name: "value1", kind: Number}, {name: "value2", kind: Number}}, result: Number,
		plain:    func(_ *run, _ *step, a []value) (value, error) { return numberValue(a[0].number | a[1].number), nil },
		examples: []Example{{Expression: `BitOr(512, 2)`, Result: `514`}}},
	{name: "ConvertToBase64", about: "the text's UTF-16 in base64", params: []parameter{source}, result: Text, each: true, plain: pure(toBase64),
		examples: []Example{{Expression: `ConvertToBase64("Hello world!")`, Result: `"SABlAGwAbABvACAAdwBvAHIAbABkACEA"`}}},
	{name: "ConvertFromBase64", page: cloudPage, about: "the text whose UTF-16, or other encoding, is written in base64", result: Text, plain: fromBase64,
		params:   []parameter{source, {name: "encoding", kind: Text, optional: true, words: []string{"ASCII", "UTF8", "Unicode"}}},
		examples: []Example{{Expression: `ConvertFromBase64("SABlAGwAbABvACAAdwBvAHIAbABkACEA")`, Result: `"Hello world!"`}, {Expression: `ConvertFromBase64("SGVsbG8gd29ybGQh", UTF8)`, Result: `"Hello world!"`}}},
	{name: "ConvertToUTF8Hex", about: "the text's UTF-8 in hexadecimal digits", params: []parameter{source}, result: Text, each: true,
		plain:    pure(func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) }),
		examples: []Example{{Expression: `ConvertToUTF8Hex("Hello world!")`, Result: `"48656C6C6F20776F726C6421"`}}},
}

func toNumber(_ *run, _ *step, a []value) (value, error) {
	if a[0].kind == Null {
		return null, nil
	}
	v, why := number(a[0])
	if why != "" {
		return null, errors.New(why)
	}
	return v, nil
}

func toBool(_ *run, _ *step, a []value) (value, error) {
	if n, why := number(a[0]); why == "" {
		return truthValue(n.number != 0), nil
	}
	v, why := truth(a[0])
	if why != "" {
		return null, errors.New(why)
	}
	return v, nil
}

func toBase64(s string) string {
	units := utf16.Encode([]rune(s))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = append(b, byte(u), byte(u>>8))
	}
	return base64.StdEncoding.EncodeToString(b)
}

func fromBase64(_ *run, s *step, a []value) (value, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(a[0].plain()))
	if err != nil {
		return null, errorAt(s.args[0].at, "", "%s is not base64", a[0])
	}
	if encoding := a[1].plain(); encoding == "UTF8" || encoding == "ASCII" {
		if !utf8.Valid(b) {
			return null, errorAt(s.args[0].at, "", "what the base64 holds is not %s", encoding)
		}
		return textValue(string(b)), nil
	}
	if len(b)%2 != 0 {
		return null, errorAt(s.args[0].at, "UTF8 as second argument takes bytes", "what the base64 holds is not UTF-16")
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
	}
	return textValue(string(utf16.Decode(units))), nil
}
