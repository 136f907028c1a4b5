package tenant

// Permission is an application permission of Microsoft Graph that Tandem needs, as an administrator consents to it.
type Permission struct {
	Name string // as the portal shows it
	For  string // what it is needed for
	Must bool   // nothing works without it; otherwise only what is in For
}

// The names of the permissions: for each call the least that Microsoft documents.
const (
	permUser    = "User.ReadWrite.All"
	permGroup   = "Group.ReadWrite.All"
	permMember  = "GroupMember.ReadWrite.All"
	permRoles   = "RoleManagement.Read.Directory"
	permOrg     = "Organization.Read.All"
	permDomain  = "Domain.Read.All"
	permApp     = "Application.ReadWrite.OwnedBy"
	permRestore = "User.DeleteRestore.All"
	permContact = "OrgContact.Read.All"
)

// Permissions returns the permissions to which an administrator consents.
func Permissions() []Permission {
	return []Permission{
		{permUser, "reading, creating, changing and deleting users, and their managers", true},
		{permGroup, "reading, creating, changing and deleting groups", true},
		{permMember, "adding and removing members", true},
		{permRoles, "knowing who holds or may activate a directory role: without it no existing object is joined", true},
		{permOrg, "reading the organization and its synchronization state", true},
		{permDomain, "knowing the verified domains", true},
		{permRestore, "restoring deleted users, where User.ReadWrite.All is not enough", false},
		{permApp, "marking the tenant with this installation, so that a cloned or restored host is found out", false},
		{permContact, "adding organizational contacts to groups", false},
	}
}

const consent = "grant the application permission %s (Entra admin center, App registrations, API permissions) and consent to it"
