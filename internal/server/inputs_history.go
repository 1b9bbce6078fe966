package server

import "gitops-squared.io/gsq/api"

// HistoryQuery chooses a page of a history.
type HistoryQuery struct {
	Limit    int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many entries."`
	Continue string `query:"continue" minLength:"1" maxLength:"1024" doc:"What the page before answered as continue."`
}

func (q HistoryQuery) limit() int {
	if q.Limit == 0 {
		return defaultHistory
	}
	return q.Limit
}

// VersionPath is a version in the path.
type VersionPath struct {
	Version string `path:"version" maxLength:"19" pattern:"^v[1-9][0-9]*$" patternDescription:"v and a number of microseconds" doc:"The version."`
}

// RevisionPath is a revision in the path.
type RevisionPath struct {
	Revision string `path:"revision" maxLength:"20" pattern:"^(latest|r[1-9][0-9]*)$" patternDescription:"r and a number, or latest" doc:"The revision: r12, or latest."`
}

type (
	versionsInput struct {
		NamespacePath
		NamePath
		HistoryQuery
	}
	versionInput struct {
		NamespacePath
		NamePath
		VersionPath
		ReadConditions
	}
	versionDiffInput struct {
		NamespacePath
		NamePath
		From string `query:"from" required:"true" maxLength:"19" pattern:"^v[1-9][0-9]*$" patternDescription:"v and a number of microseconds" doc:"The version to begin with."`
		To   string `query:"to" maxLength:"19" pattern:"^v[1-9][0-9]*$" patternDescription:"v and a number of microseconds" doc:"The version to compare it with; without it, the resource as it is now."`
	}
	revisionsInput struct {
		NamespacePath
		HistoryQuery
	}
	revisionInput struct {
		NamespacePath
		RevisionPath
		ReadConditions
	}
	namespaceDiffInput struct {
		NamespacePath
		From string `query:"from" required:"true" minLength:"1" maxLength:"64" doc:"The revision (r12) or the moment (RFC 3339) to begin with."`
		To   string `query:"to" minLength:"1" maxLength:"64" doc:"The revision or moment to compare it with; without it, the present revision."`
	}
)

type (
	versionsOutput struct {
		Body *api.VersionList
	}
	versionOutput struct {
		Status       int
		ETag         string `header:"ETag" doc:"The version's digest, quoted."`
		CacheControl string `header:"Cache-Control" doc:"A version never changes."`
		Body         *api.StoredVersion
	}
	versionDiffOutput struct {
		Body *api.VersionDiff
	}
	revisionsOutput struct {
		Body *api.CommitList
	}
	revisionOutput struct {
		Status int
		ETag   string `header:"ETag" doc:"The revision's digest, quoted."`
		Body   *api.Commit
	}
	namespaceDiffOutput struct {
		Body *api.NamespaceDiff
	}
)
