// Package observability tests the dashboard and the alert rules in
// deploy/observability against the metrics of a running server. It is a module
// of its own, as Prometheus' own parser and query engine, which it uses, must
// not choose the product's dependencies.
package observability
