package server

import (
	"github.com/danielgtaylor/huma/v2"

	"gitops-squared.io/gsq/api"
)

// The inputs and outputs of the operations, as huma reads and writes them. The
// parts are exported because huma passes over embedded types that are not.

// NamespacePath is the namespace in the path.
type NamespacePath struct {
	Namespace string `path:"namespace" maxLength:"63" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" patternDescription:"a DNS-1123 label: lower case letters, digits and '-', beginning and ending with a letter or digit" doc:"The namespace."`
}

// NamePath is the resource's name in the path.
type NamePath struct {
	Name string `path:"name" maxLength:"63" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" patternDescription:"a DNS-1123 label: lower case letters, digits and '-', beginning and ending with a letter or digit" doc:"The resource's name."`
}

// ActorHeader says who asks for a write.
type ActorHeader struct {
	Actor string `header:"Gsq-Actor" maxLength:"256" doc:"Who asks: at most 256 bytes of printable UTF-8, kept in the commit record. It is the caller's word until identities are verified."`
}

// ReasonQuery says why, where a write has no body.
type ReasonQuery struct {
	Reason string `query:"reason" maxLength:"1024" doc:"Why; it is kept in the commit record."`
}

// AtQuery asks for the past.
type AtQuery struct {
	At string `query:"at" minLength:"1" maxLength:"64" doc:"As it was then: a revision (r12), or a moment (RFC 3339, as 2026-05-04T14:00:00Z)."`
}

// WriteConditions are the preconditions of POST and PUT.
type WriteConditions struct {
	IfMatch     string `header:"If-Match" doc:"Entity tags: the resource must have one of them now; * that it exists. A weak tag matches nothing. Else 412."`
	IfNoneMatch string `header:"If-None-Match" doc:"Only * is supported: the resource must not exist. Else 412."`
}

// DeleteConditions are the preconditions of DELETE.
type DeleteConditions struct {
	IfMatch string `header:"If-Match" doc:"Entity tags: the resource must have one of them now; * that it exists. A weak tag matches nothing. Else 412."`
}

// ReadConditions are the preconditions of GET.
type ReadConditions struct {
	IfMatch     string `header:"If-Match" doc:"Entity tags: the resource must have one of them now. Else 412."`
	IfNoneMatch string `header:"If-None-Match" doc:"Entity tags that the caller has: if the resource has one of them, the answer is 304 without a body."`
}

// ListQuery chooses what a list shows. The parameters type and region are
// documented from the custom resource definition.
type ListQuery struct {
	Type       string `query:"type"`
	Region     string `query:"region"`
	NamePrefix string `query:"namePrefix" minLength:"1" maxLength:"63" doc:"Only resources whose name begins with it."`
	Limit      int    `query:"limit" minimum:"1" maximum:"1000" doc:"At most so many resources; without it, the whole list is answered."`
	Continue   string `query:"continue" minLength:"1" maxLength:"1024" doc:"What the page before answered as continue; the filters must be the same as there. It works for an hour after the first page."`
	AtQuery
}

// ApplyQuery says how an apply is to be done.
type ApplyQuery struct {
	DryRun  bool `query:"dryRun" doc:"Answer what would happen and write nothing."`
	Prune   bool `query:"prune" doc:"Delete every resource of the namespace that the body does not name."`
	Confirm bool `query:"confirm" doc:"Do it although it deletes everything, or more than half of the resources."`
}

type (
	postInput struct {
		ActorHeader
		WriteConditions
		Body api.ResourceRequest
	}
	namespacedPostInput struct {
		NamespacePath
		ActorHeader
		WriteConditions
		Body api.ResourceRequest
	}
	putInput struct {
		NamePath
		ActorHeader
		WriteConditions
		Body api.ResourcePut
	}
	namespacedPutInput struct {
		NamespacePath
		NamePath
		ActorHeader
		WriteConditions
		Body api.ResourcePut
	}
	getInput struct {
		NamePath
		AtQuery
		ReadConditions
	}
	namespacedGetInput struct {
		NamespacePath
		NamePath
		AtQuery
		ReadConditions
	}
	deleteInput struct {
		NamePath
		ActorHeader
		ReasonQuery
		DeleteConditions
	}
	namespacedDeleteInput struct {
		NamespacePath
		NamePath
		ActorHeader
		ReasonQuery
		DeleteConditions
	}
	listInput struct {
		ListQuery
	}
	namespacedListInput struct {
		NamespacePath
		ListQuery
	}
	applyInput struct {
		NamespacePath
		ActorHeader
		ApplyQuery
		Body api.ApplyRequest
	}
	noInput struct{}
)

type (
	resourceOutput struct {
		Status   int
		ETag     string `header:"ETag" doc:"The version's digest, quoted."`
		Location string `header:"Location" doc:"The path of a resource that was created."`
		Body     *api.Resource
	}
	readOutput struct {
		Status int
		ETag   string `header:"ETag" doc:"The version's digest, quoted."`
		Body   *api.Resource
	}
	deleteOutput struct {
		Body *api.ResourceDeleted
	}
	listOutput struct {
		Body func(huma.Context) // writes an api.ResourceList
	}
	applyOutput struct {
		Body *api.ApplyResponse
	}
	namespacesOutput struct {
		Body *api.NamespaceList
	}
	healthOutput struct {
		Body api.Health
	}
	readinessOutput struct {
		Status     int
		RetryAfter string `header:"Retry-After" hidden:"true"`
		Body       api.Readiness
	}
)
