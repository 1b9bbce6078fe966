package report

// method is the part of the page that explains the numbers.
const method = "" +
	"`make bench` starts everything itself, measures baseline and product in turn, several rounds of each, and\n" +
	"writes this page. `make bench ARGS=\"--quick\"` takes a few minutes and writes nothing; `bin/bench --help` lists\n" +
	"what else there is: `--only` some rows, `--registry` another registry, `--json`, `--profile`.\n" +
	"\n" +
	"- Values are medians over the rounds, with the lowest and the highest. The ratio is the median of the rounds'\n" +
	"  ratios, gsq divided by its baseline: each round measures both, one right after the other, so that whatever\n" +
	"  else the machine does meets both. Others may share this machine; the ratios tell more than the values.\n" +
	"- Everything runs on this one machine: the clients (goroutines of the measuring process, with kept connections,\n" +
	"  the same client code on both sides), gsq, and the registry. A baseline of six requests pays for six in the\n" +
	"  client, too.\n" +
	"- Every answer's status is checked. One wrong answer fails the row.\n" +
	"- A **raw push** is what a plain OCI client does, on the same registry process: POST and PUT for the layer, POST\n" +
	"  and PUT for the config, and the manifest PUT under two tags. Six requests, one after the other; the bytes\n" +
	"  are those of the artifact that gsq makes of the same resource. 16 clients do that at a time, each with\n" +
	"  other artifacts. It writes no catalog, no record and checks nothing.\n" +
	"- A **create** or an **update** is one request to gsq, answered when the artifact, its tags, the namespace's new\n" +
	"  catalog and its commit record are stored. 32 clients send them at a time.\n" +
	"- A **raw pull** reads, of each catalog that a start reads, manifest, record and layer over HTTP, one after the\n" +
	"  other, compares them with their digests and unpacks the layer.\n"

// heading is the title of a target's section.
func heading(target string) string {
	switch target {
	case "embedded":
		return "The embedded registry"
	case "distribution":
		return "CNCF Distribution"
	}
	return "An external registry"
}

// explanation says what a target is, and how durable.
func explanation(target string) string {
	switch target {
	case "embedded":
		return "gsq and its registry are one process. Raw pushes go to that same process, to repositories outside gsq's\n" +
			"prefix. Both are as durable as each other: with `--durability commit`, the default, every success is answered\n" +
			"after a sync to the disk; with `none`, neither waits for one. A raw push syncs with each of its requests but\n" +
			"the POSTs; what runs at the same time shares syncs.\n"
	case "distribution":
		return "gsq against CNCF Distribution with its file system driver, which syncs each file that it writes and the\n" +
			"folder that the file lies in, but not the folders that it makes, nor the one that it moves a blob to. Raw\n" +
			"pushes go to the same process, to repositories outside gsq's prefix. It takes far fewer artifacts a second,\n" +
			"so the sizes are smaller than on the embedded registry; each row says which. Reads of the API are answered\n" +
			"from memory and do not depend on the registry: they are measured above.\n"
	}
	return "gsq against a registry that was there. How durable it is, it decides, for both sides alike.\n"
}
