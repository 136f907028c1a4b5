package tenant

import "net/http"

var userRoutes = []route{
	writes(http.MethodPost, "users", createUser),
	writes(http.MethodPatch, "users/{}", func(f *front, c *call) (reply, error) { return update(c, f.model.UpdateUser) }),
	writes(http.MethodDelete, "users/{}", func(f *front, c *call) (reply, error) { return answer(f.model.Delete(User, c.args[0])) }),
	writes(http.MethodPut, "users/{}/manager/$ref", func(f *front, c *call) (reply, error) { return putManager(f, c, User) }),
	writes(http.MethodDelete, "users/{}/manager/$ref", func(f *front, c *call) (reply, error) { return answer(f.model.ClearManager(User, c.args[0])) }),
}

// managerRoutes are how the manager of users and contacts, and those whose manager they are, are read.
func managerRoutes(collection string, kind Kind) []route {
	return []route{
		get(collection+"/{}/manager", 1, func(f *front, c *call) (reply, error) { return manager(f, c, kind) }),
		get(collection+"/{}/manager/$ref", 1, func(f *front, c *call) (reply, error) { return managerRef(f, c, kind) }),
		get(collection+"/{}/directReports", 1, func(f *front, c *call) (reply, error) { return listRelated(f, c, kind, DirectReports, "") }),
	}
}

func answer(err error) (reply, error) { return noContent, err }

func update(c *call, apply func(ref string, body map[string]any) error) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	return answer(apply(c.args[0], body))
}

func createUser(f *front, c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	o, err := f.model.CreateUser(body)
	return c.created(o, "users"), err
}

// created answers 201 with the new object and its address.
func (c *call) created(o Object, collection string) reply {
	if o.ID == "" {
		return reply{}
	}
	body := render(o, nil)
	body["@odata.context"] = c.context(collection, nil) + "/$entity"
	return reply{status: http.StatusCreated, body: body, header: map[string]string{"Location": c.base + "/" + collection + "/" + o.ID}}
}

func findManager(f *front, c *call, kind Kind) (Object, error) {
	o, err := f.model.Get(kind, c.args[0])
	if err != nil {
		return Object{}, err
	}
	if o.Manager == "" {
		return Object{}, notFound("manager")
	}
	return f.model.Get("", o.Manager)
}

func manager(f *front, c *call, kind Kind) (reply, error) {
	boss, err := findManager(f, c, kind)
	if err != nil {
		return reply{}, err
	}
	selected, err := c.selected(boss.Kind)
	if err != nil {
		return reply{}, err
	}
	body := typed(boss, selected)
	body["@odata.context"] = c.base + "/$metadata#directoryObjects/$entity"
	return reply{status: http.StatusOK, body: body}, nil
}

func managerRef(f *front, c *call, kind Kind) (reply, error) {
	boss, err := findManager(f, c, kind)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: map[string]any{"@odata.context": c.base + "/$metadata#$ref", "@odata.id": c.base + "/directoryObjects/" + boss.ID}}, nil
}

func putManager(f *front, c *call, kind Kind) (reply, error) {
	link, err := c.reference()
	if err != nil {
		return reply{}, err
	}
	return answer(f.model.SetManager(kind, c.args[0], link))
}

// reference reads the body of a $ref write.
func (c *call) reference() (string, error) {
	body, err := c.object()
	if err != nil {
		return "", err
	}
	link, ok := body["@odata.id"].(string)
	if !ok {
		return "", badRequest("The request body must have '@odata.id'.")
	}
	return link, nil
}
