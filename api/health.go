package api

// Health is the answer to GET /healthz and GET /livez.
type Health struct {
	Status string `json:"status" enum:"ok"`
}

// Readiness is the answer to GET /readyz, with status 200 when it can serve
// and 503 when it cannot.
type Readiness struct {
	Status string  `json:"status" enum:"ok,unavailable"`
	Checks []Check `json:"checks" nullable:"false"`
}

// Check is one thing that has to hold before requests can be served.
type Check struct {
	Name   string `json:"name" enum:"server,ledger,registry"`
	Status string `json:"status" enum:"ok,failed"`
	Detail string `json:"detail,omitempty" doc:"Why it failed."`
}
