package tenant

import (
	"runtime/debug"
	"strings"

	"github.com/microsoft/kiota-abstractions-go/serialization"
	"github.com/microsoft/kiota-abstractions-go/store"
	kform "github.com/microsoft/kiota-serialization-form-go"
	kjson "github.com/microsoft/kiota-serialization-json-go"
	ktext "github.com/microsoft/kiota-serialization-text-go"
	core "github.com/microsoftgraph/msgraph-sdk-go-core"
	"github.com/microsoftgraph/msgraph-sdk-go/domains"
	"github.com/microsoftgraph/msgraph-sdk-go/organization"
	"github.com/microsoftgraph/msgraph-sdk-go/serviceprincipals"
	"github.com/microsoftgraph/msgraph-sdk-go/serviceprincipalswithappid"

	abstractions "github.com/microsoft/kiota-abstractions-go"
)

// graph makes the requests of the SDK that this client sends. It replaces the SDK's GraphServiceClient, whose methods lead to every request of Graph, in 15,000 files. If anything
// in a program looks methods up by name, as text/template and net/rpc do, the linker keeps all of them: 75 MB of 132.
type graph struct {
	adapter *core.GraphRequestAdapterBase
	params  map[string]string
}

// sdkVersion returns the version of the SDK in this program, which is sent with each request; empty: the build does not contain it.
func sdkVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == "github.com/microsoftgraph/msgraph-sdk-go" {
			return strings.TrimPrefix(m.Version, "v")
		}
	}
	return ""
}

// newGraph does what the SDK's NewGraphServiceClient does, except for the client.
func newGraph(adapter *core.GraphRequestAdapterBase, base string) graph {
	for _, w := range []func() serialization.SerializationWriterFactory{
		func() serialization.SerializationWriterFactory { return kjson.NewJsonSerializationWriterFactory() },
		func() serialization.SerializationWriterFactory { return ktext.NewTextSerializationWriterFactory() },
		func() serialization.SerializationWriterFactory { return kform.NewFormSerializationWriterFactory() },
	} {
		abstractions.RegisterDefaultSerializer(w)
	}
	for _, p := range []func() serialization.ParseNodeFactory{
		func() serialization.ParseNodeFactory { return kjson.NewJsonParseNodeFactory() },
		func() serialization.ParseNodeFactory { return ktext.NewTextParseNodeFactory() },
		func() serialization.ParseNodeFactory { return kform.NewFormParseNodeFactory() },
	} {
		abstractions.RegisterDefaultDeserializer(p)
	}
	adapter.SetBaseUrl(base)
	adapter.EnableBackingStore(store.BackingStoreFactoryInstance)
	return graph{adapter: adapter, params: map[string]string{"baseurl": base}}
}

// Domains returns the builder of requests for the tenant's domains.
func (g graph) Domains() *domains.DomainsRequestBuilder {
	return domains.NewDomainsRequestBuilderInternal(g.params, g.adapter)
}

// Organization returns the builder of requests for the tenant's description.
func (g graph) Organization() *organization.OrganizationRequestBuilder {
	return organization.NewOrganizationRequestBuilderInternal(g.params, g.adapter)
}

// ServicePrincipals returns the builder of requests for service principals by their object id.
func (g graph) ServicePrincipals() *serviceprincipals.ServicePrincipalsRequestBuilder {
	return serviceprincipals.NewServicePrincipalsRequestBuilderInternal(g.params, g.adapter)
}

// ServicePrincipalsWithAppId returns the builder of requests for the service principal of an application.
func (g graph) ServicePrincipalsWithAppId(id *string) *serviceprincipalswithappid.ServicePrincipalsWithAppIdRequestBuilder {
	return serviceprincipalswithappid.NewServicePrincipalsWithAppIdRequestBuilderInternal(g.params, g.adapter, id)
}
