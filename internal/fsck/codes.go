package fsck

// Code says what kind of finding it is. docs/fsck.md explains each.
type Code string

// The findings about a catalog's chain of revisions.
const (
	LatestMissing      Code = "latest-missing"
	LatestBehind       Code = "latest-behind"
	LatestAbandoned    Code = "latest-abandoned"
	ForeignCommit      Code = "foreign-commit"
	RevisionMissing    Code = "revision-missing"
	RevisionDamaged    Code = "revision-damaged"
	RevisionTagMissing Code = "revision-tag-missing"
	RevisionTagMoved   Code = "revision-tag-moved"
	RevisionOrphan     Code = "revision-orphan"
	ChainBroken        Code = "chain-broken"
	TimeBackwards      Code = "time-backwards"
	ScopeWrong         Code = "scope-wrong"
	WriterImplausible  Code = "writer-implausible"
	UnknownTag         Code = "unknown-tag"
)

// The findings about what revisions hold.
const (
	LayerDamaged      Code = "layer-damaged"
	LayerInvalid      Code = "layer-invalid"
	LayerMismatch     Code = "layer-mismatch"
	ChangeMismatch    Code = "change-mismatch"
	ChangeInvalid     Code = "change-invalid"
	ChangeUnexplained Code = "change-unexplained"
)

// The findings about checkpoints.
const (
	CheckpointDamaged    Code = "checkpoint-damaged"
	CheckpointMismatch   Code = "checkpoint-mismatch"
	CheckpointTagMissing Code = "checkpoint-tag-missing"
	CheckpointTagMoved   Code = "checkpoint-tag-moved"
	CheckpointUnnamed    Code = "checkpoint-unnamed"
)

// The findings about resources.
const (
	VersionMissing        Code = "version-missing"
	VersionDamaged        Code = "version-damaged"
	VersionTagMissing     Code = "version-tag-missing"
	VersionTagMoved       Code = "version-tag-moved"
	VersionUnknown        Code = "version-unknown"
	ResourceLatestMissing Code = "resource-latest-missing"
	ResourceLatestWrong   Code = "resource-latest-wrong"
)

// The findings about everything else.
const (
	DeploymentDamaged   Code = "deployment-damaged"
	DeploymentMisplaced Code = "deployment-misplaced"
	DeploymentUnknown   Code = "deployment-unknown-revision"
	WriterMissing       Code = "writer-missing"
	WriterDamaged       Code = "writer-damaged"
)

// kind is what all findings of a code have in common.
type kind struct {
	severity Severity
	advice   string
}

const (
	restore    = "Restore the history from a backup (gsq restore), or read it from another copy of the registry; what is lost cannot be derived."
	intruder   = "Somebody other than the ledger wrote this, or edited it: find out who has the right to write here. "
	repairable = "Run gsq fsck --repair; a running server also completes the tags of its newest revisions by itself."
)

// kindOf is the one place where codes get their severity and advice.
func kindOf(code Code) kind {
	switch code {
	case LatestMissing:
		return kind{Error, "Flux finds no catalog. Start gsq serve, which refuses to take it for empty, and put latest back to the last revision with an OCI client, or restore it from a backup."}
	case LatestBehind:
		return kind{Error, "Flux applies an old catalog. A running server puts latest forward within a minute, a start does it at once."}
	case LatestAbandoned:
		return kind{Warning, "A late write of an attempt that was given up. A running server puts latest forward within a minute, a start does it at once."}
	case ForeignCommit:
		return kind{Error, intruder + "The server refuses to write until latest is put back to the last revision."}
	case RevisionMissing:
		return kind{Error, restore}
	case RevisionDamaged:
		return kind{Error, restore}
	case RevisionTagMissing:
		return kind{Warning, repairable}
	case RevisionTagMoved:
		return kind{Error, intruder + "Put the tag back to the manifest that the history names, with an OCI client that may write it."}
	case RevisionOrphan:
		return kind{Error, intruder + "No revision leads to it. Delete the tag, once its manifest is kept elsewhere as evidence."}
	case ChainBroken, TimeBackwards, ScopeWrong:
		return kind{Error, intruder + "The history was rewritten: compare it with a backup, and restore that."}
	case WriterImplausible:
		return kind{Error, intruder + "Compare the revision with a backup."}
	case UnknownTag:
		return kind{Warning, "The ledger puts no such tag here. Remove it, if nobody needs it; below this prefix only the server should write."}
	case LayerDamaged:
		return kind{Error, "Flux cannot read this revision. If it is the newest, write to the namespace: the next revision has a layer of its own. Else restore it from a backup."}
	case LayerInvalid, LayerMismatch, ChangeMismatch, ChangeInvalid, ChangeUnexplained:
		return kind{Error, intruder + "What the revision holds is not what its record says: compare both with a backup."}
	case CheckpointDamaged:
		return kind{Error, "The revisions before it cannot be verified any more. " + restore}
	case CheckpointMismatch:
		return kind{Error, intruder + "The checkpoint does not continue the history: compare it with a backup."}
	case CheckpointTagMissing:
		return kind{Warning, "Tag the checkpoint's manifest again, before the registry deletes what has no tag."}
	case CheckpointTagMoved:
		return kind{Error, intruder + "Put the tag back to the manifest that the history names."}
	case CheckpointUnnamed:
		return kind{Info, "A collection was interrupted; the next one (gsq gc) goes on."}
	case VersionMissing:
		return kind{Error, "If it is the present version, apply the resource with another spec and back. Else restore it from a backup."}
	case VersionDamaged:
		return kind{Error, restore}
	case VersionTagMissing:
		return kind{Warning, repairable}
	case VersionTagMoved:
		return kind{Error, intruder + "The catalog, which Flux applies, is not affected. Put the tag back to the manifest that the record names."}
	case VersionUnknown:
		return kind{Error, intruder + "A version tag means committed, and no record names this one. Remove the tag."}
	case ResourceLatestMissing, ResourceLatestWrong:
		return kind{Warning, repairable}
	case DeploymentDamaged:
		return kind{Error, restore}
	case DeploymentMisplaced, DeploymentUnknown:
		return kind{Error, intruder + "What the cluster ran at that time is not known from this record."}
	case WriterMissing, WriterDamaged:
		return kind{Error, "Restart gsq serve: it puts its claim there."}
	}
	return kind{Error, "This is a defect of gsq: report it."}
}
