package tenant

import "net/http"

var groupRoutes = []route{
	writes(http.MethodPost, "groups", createGroup),
	get("groups(uniqueName)/{}", 1, func(f *front, c *call) (reply, error) {
		return read(f, c, Group, "groups", func() (Object, error) { return f.model.GetByKey(Group, "uniqueName", c.args[0]) })
	}),
	writes(http.MethodPatch, "groups(uniqueName)/{}", upsertGroup),
	writes(http.MethodPatch, "groups/{}", func(f *front, c *call) (reply, error) { return update(c, f.model.UpdateGroup) }),
	writes(http.MethodDelete, "groups/{}", func(f *front, c *call) (reply, error) { return answer(f.model.Delete(Group, c.args[0])) }),
	get("groups/{}/members", 3, func(f *front, c *call) (reply, error) { return listRelated(f, c, Group, Members, "") }),
	get("groups/{}/members/$count", 3, countMembers),
	get("groups/{}/members/$ref", 3, memberRefs),
	get("groups/{}/members/user", 3, func(f *front, c *call) (reply, error) { return listRelated(f, c, Group, Members, "user") }),
	get("groups/{}/members/group", 3, func(f *front, c *call) (reply, error) { return listRelated(f, c, Group, Members, "group") }),
	get("groups/{}/members/orgContact", 3, func(f *front, c *call) (reply, error) { return listRelated(f, c, Group, Members, "orgContact") }),
	get("groups/{}/transitiveMembers", 5, func(f *front, c *call) (reply, error) { return listRelated(f, c, Group, TransitiveMembers, "") }),
	writes(http.MethodPost, "groups/{}/members/$ref", addMember),
	writes(http.MethodDelete, "groups/{}/members/{}/$ref", func(f *front, c *call) (reply, error) {
		return answer(f.model.RemoveMember(c.args[0], c.args[1]))
	}),
}

func createGroup(f *front, c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	o, err := f.model.CreateGroup(body)
	return c.created(o, "groups"), err
}

func upsertGroup(f *front, c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	_, create := c.prefers("create-if-missing")
	o, created, err := f.model.UpsertGroup(c.args[0], body, create)
	if err != nil || !created {
		return noContent, err
	}
	return c.created(o, "groups"), nil
}

func addMember(f *front, c *call) (reply, error) {
	link, err := c.reference()
	if err != nil {
		return reply{}, err
	}
	return answer(f.model.AddMember(c.args[0], link))
}

func countMembers(f *front, c *call) (reply, error) {
	if !c.eventual() {
		return reply{}, badRequest("$count is not currently supported without the ConsistencyLevel:eventual header.")
	}
	members, _, err := f.model.Related(Group, c.args[0], Members)
	return countText(len(members)), err
}

func memberRefs(f *front, c *call) (reply, error) {
	members, _, err := f.model.Related(Group, c.args[0], Members)
	if err != nil {
		return reply{}, err
	}
	var rows []any
	for _, o := range members {
		rows = append(rows, map[string]any{"@odata.id": c.base + "/directoryObjects/" + o.ID})
	}
	return c.page(rows, "Collection($ref)")
}
