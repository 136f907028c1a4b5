package language

// Names of the functions that speak of a whole flow.
const (
	selectUnique = "SelectUniqueValue"
	ignoreFlow   = "IgnoreFlowIfNullOrEmpty"
)

var anything = parameter{name: "value", kind: Any}

// Functions that choose, test and end flows. What is not chosen is not evaluated.
var flowFunctions = []function{
	{name: "IIF", about: "one of two values, by a condition", params: []parameter{{name: "condition", kind: Boolean}, {name: "then", kind: Any}, {name: "else", kind: Any}}, lazy: iif,
		examples: []Example{
			{Expression: `IIF([country] = "USA", [country], [department])`, Attributes: map[string][]string{"country": {"USA"}, "department": {"HR"}}, Result: `"USA"`},
			{Expression: `IIF([country] = "USA", [country], [department])`, Attributes: map[string][]string{"country": {"CZ"}, "department": {"HR"}}, Result: `"HR"`},
			{Expression: `IIF(IsPresent([country]), [country], "Other")`, Result: `"Other"`},
			{Expression: `IIF([country] = "", "Other", [country])`, Result: `"Other"`},
			{Expression: `IIF([accountEnabled], "on", "off")`, Attributes: of("accountEnabled", "true"), Result: `"on"`},
		}},
	{name: "Switch", about: "the value beside the first key that equals the source, else the default; an absent source equals the key \"\"", lazy: choose, repeats: 2,
		params: []parameter{source, {name: "default", kind: Any, optional: true}, {name: "key", kind: Text}, {name: "value", kind: Any}},
		examples: []Example{
			{Expression: `Switch([state], "Australia/Sydney", "NSW", "Australia/Sydney", "QLD", "Australia/Brisbane")`, Attributes: of("state", "QLD"), Result: `"Australia/Brisbane"`},
			{Expression: `Switch([state], "Australia/Sydney", "QLD", "Australia/Brisbane")`, Attributes: of("state", "qld"), Result: `"Australia/Sydney"`},
			{Expression: `Switch([accountEnabled],, "False", "True", "True", "False")`, Attributes: of("accountEnabled", "true"), Result: `"False"`},
			{Expression: `Switch([statusFlag], "Default Value", "true", "1", "", "0")`, Result: `"0"`},
			{Expression: `Switch([statusFlag],, "true", "1")`, Attributes: of("statusFlag", "false"), Result: `NULL`},
		}},
	{name: "Coalesce", about: "the first value that is not absent", params: []parameter{{name: "source", kind: Any}}, repeats: 1, lazy: coalesce,
		examples: []Example{
			{Expression: `Coalesce([mail], [userPrincipalName])`, Attributes: of("userPrincipalName", "John.Doe@contoso.com"), Result: `"John.Doe@contoso.com"`},
			{Expression: `Coalesce([mail], "none")`, Attributes: of("mail", "a@x"), Result: `"a@x"`}, {Expression: `Coalesce([mail], [userPrincipalName])`, Result: `NULL`},
		}},
	{name: ignoreFlow, about: "the value; if it is absent or empty the target attribute stays as it is", params: []parameter{anything}, lazy: ignoreIfEmpty,
		examples: []Example{
			{Expression: `IgnoreFlowIfNullOrEmpty([department])`, Attributes: of("department", "HR"), Result: `"HR"`}, {Expression: `IgnoreFlowIfNullOrEmpty([department])`, Result: `unmanaged`},
			{Expression: `IgnoreFlowIfNullOrEmpty(Trim([department]))`, Attributes: of("department", " "), Result: `unmanaged`},
		}},
	{name: selectUnique, about: "the first of its values that no other object of the domain has; outermost, and only at creation", params: []parameter{{name: "rule", kind: Text}, {name: "rule", kind: Text}}, repeats: 1,
		result: Text, plain: func(_ *run, _ *step, a []value) (value, error) { return a[0], nil }, // only Program.evaluate knows all
		examples: []Example{{Expression: `SelectUniqueValue([givenName], Join(".", [givenName], [surname]))`,
			Attributes: map[string][]string{"givenName": {"Ann"}, "surname": {"Doe"}}, Result: `the first free of "Ann", "Ann.Doe"`}}},
	{name: "Error", page: cloudPage, about: "no value: the object is left out with this message", params: []parameter{{name: "message", kind: Text}},
		plain:    func(_ *run, s *step, a []value) (value, error) { return null, errorAt(s.at, "", "%s", a[0].plain()) },
		examples: []Example{{Expression: `IIF(IsPresent([mail]), [mail], Error("mail is required"))`, Attributes: of("mail", "a@x"), Result: `"a@x"`}}},
	{name: "Not", about: "False for True, and True for everything else", params: []parameter{anything}, result: Boolean, plain: not,
		examples: []Example{
			{Expression: `Not([accountEnabled])`, Attributes: of("accountEnabled", "true"), Result: `False`}, {Expression: `Not([accountEnabled])`, Attributes: of("accountEnabled", "false"), Result: `True`},
			{Expression: `Not([accountEnabled])`, Result: `True`}, {Expression: `Not("no")`, Result: `True`},
		}},
	{name: "IsNull", about: "whether there is no value", params: []parameter{anything}, result: Boolean, plain: test(func(v value) bool { return len(v.texts()) == 0 }),
		examples: []Example{{Expression: `IsNull([displayName])`, Result: `True`}, {Expression: `IsNull("")`, Result: `False`}}},
	{name: "IsNullOrEmpty", about: "whether there is no value or an empty one", params: []parameter{anything}, result: Boolean, plain: test(value.empty),
		examples: []Example{{Expression: `IsNullOrEmpty([displayName])`, Result: `True`}, {Expression: `IsNullOrEmpty("")`, Result: `True`}, {Expression: `IsNullOrEmpty(" ")`, Result: `False`}}},
	{name: "IsEmpty", page: connectPage, about: "whether there is a value, and it is empty", params: []parameter{anything}, result: Boolean, plain: test(func(v value) bool { return v.kind != Null && v.empty() }),
		examples: []Example{{Expression: `IsEmpty("")`, Result: `True`}, {Expression: `IsEmpty([displayName])`, Result: `False`}}},
	{name: "IsPresent", about: "whether there is a value that is not empty", params: []parameter{anything}, result: Boolean, plain: test(func(v value) bool { return !v.empty() }),
		examples: []Example{{Expression: `IsPresent([displayName])`, Attributes: of("displayName", "Ann"), Result: `True`}, {Expression: `IsPresent("")`, Result: `False`}}},
	{name: "IsString", about: "whether there is one value that CStr makes a text of", params: []parameter{anything}, result: Boolean, plain: test(func(v value) bool { return v.kind != Null && v.kind != Texts }),
		examples: []Example{{Expression: `IsString([displayName])`, Attributes: of("displayName", "Ann"), Result: `True`}, {Expression: `IsString([displayName])`, Result: `False`},
			{Expression: `IsString(Split("a,b", ","))`, Result: `False`}}},
	{name: "IsNumeric", page: connectPage, about: "whether there is a value that is a whole number", params: []parameter{anything}, result: Boolean,
		plain:    test(func(v value) bool { _, why := number(v); return why == "" }),
		examples: []Example{{Expression: `IsNumeric("15")`, Result: `True`}, {Expression: `IsNumeric("1.5")`, Result: `False`}, {Expression: `IsNumeric(NULL)`, Result: `False`}}},
}

func test(f func(value) bool) func(*run, *step, []value) (value, error) {
	return func(_ *run, _ *step, a []value) (value, error) { return truthValue(f(a[0])), nil }
}

func not(_ *run, _ *step, a []value) (value, error) {
	v, why := truth(a[0])
	return truthValue(why != "" || !v.truth), nil
}

func iif(r *run, s *step) (value, error) {
	c, err := r.value(s.args[0])
	if err != nil {
		return null, err
	}
	b, err := r.convert(s, 0, c)
	if err != nil {
		return null, err
	}
	if b.truth {
		return r.value(s.args[1])
	}
	return r.value(s.args[2])
}

func choose(r *run, s *step) (value, error) {
	v, err := r.value(s.args[0])
	if err != nil {
		return null, err
	}
	sought, err := r.single(s.args[0], v)
	if err != nil {
		return null, err
	}
	for i := 2; i < len(s.args); i += 2 {
		k, err := r.value(s.args[i])
		if err != nil {
			return null, err
		}
		if key, err := r.single(s.args[i], k); err != nil || key == sought {
			return r.chosen(s.args[i+1], err)
		}
	}
	return r.value(s.args[1])
}

func (r *run) chosen(s *step, err error) (value, error) {
	if err != nil {
		return null, err
	}
	return r.value(s)
}

func coalesce(r *run, s *step) (value, error) {
	for _, a := range s.args {
		if v, err := r.value(a); err != nil || len(v.texts()) > 0 {
			return v, err
		}
	}
	return null, nil
}

func ignoreIfEmpty(r *run, s *step) (value, error) {
	v, err := r.value(s.args[0])
	if err == nil && v.empty() {
		v = value{kind: ignored}
	}
	return v, err
}
