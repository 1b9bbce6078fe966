package cluster

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gitops-squared.io/gsq/e2e/spawn"
)

// startControlPlane starts etcd and the API server and writes the kubeconfig.
func (c *Cluster) startControlPlane(ctx context.Context) error {
	ports, err := spawn.Ports(3)
	if err != nil {
		return err
	}
	etcd := "http://" + spawn.Address(ports[0])
	if err := c.startEtcd(ctx, etcd, "http://"+spawn.Address(ports[1])); err != nil {
		return err
	}
	return c.startAPIServer(ctx, etcd, ports[2])
}

func (c *Cluster) startEtcd(ctx context.Context, clients, peers string) error {
	// The name is unique: only our etcd can answer with it, so a foreign one on
	// the same port is never taken for ours.
	name := "gsq-" + rand.Text()
	etcd, err := c.supervisor.run("etcd",
		"--name", name,
		"--data-dir", filepath.Join(c.Dir, "etcd"),
		"--listen-client-urls", clients,
		"--advertise-client-urls", clients,
		"--listen-peer-urls", peers,
		"--initial-advertise-peer-urls", peers,
		"--initial-cluster", name+"="+peers,
		"--unsafe-no-fsync", // the data does not outlive the cluster
	)
	if err != nil {
		return err
	}
	err = etcd.await(ctx, func(ctx context.Context) error {
		answer, err := request(ctx, http.DefaultTransport, http.MethodPost, clients+"/v3/cluster/member/list", "", "{}")
		if err == nil && !strings.Contains(answer, name) {
			err = fmt.Errorf("%s is another etcd", clients)
		}
		return err
	})
	if err == nil {
		c.ready("etcd is ready")
	}
	return err
}

func (c *Cluster) startAPIServer(ctx context.Context, etcd string, port int) error {
	server := "https://" + spawn.Address(port)
	keys, err := writeKeys(c.Dir)
	if err != nil {
		return err
	}
	token := rand.Text()
	users := fmt.Sprintf("%s,admin,admin,system:masters\n", token)
	if err := os.WriteFile(filepath.Join(c.Dir, "tokens.csv"), []byte(users), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(c.Kubeconfig, kubeconfig(server, keys.certificate, token), 0o600); err != nil {
		return err
	}
	apiserver, err := c.supervisor.run("kube-apiserver",
		"--etcd-servers", etcd,
		"--bind-address", "127.0.0.1",
		"--secure-port", fmt.Sprint(port),
		// No endpoints of the API server itself: loopback is not valid in them.
		"--advertise-address", "127.0.0.1",
		"--endpoint-reconciler-type", "none",
		"--cert-dir", c.Dir,
		"--tls-cert-file", keys.certificateFile,
		"--tls-private-key-file", keys.keyFile,
		"--service-account-issuer", server,
		"--service-account-jwks-uri", server+"/openid/v1/jwks",
		"--service-account-key-file", keys.serviceAccountPublicFile,
		"--service-account-signing-key-file", keys.serviceAccountFile,
		"--token-auth-file", filepath.Join(c.Dir, "tokens.csv"),
		"--authorization-mode", "RBAC",
		"--service-cluster-ip-range", "10.0.0.0/24",
		"--disable-admission-plugins", "ServiceAccount",
	)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(keys.certificate)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	err = apiserver.await(ctx, func(ctx context.Context) error {
		if _, err := request(ctx, transport, http.MethodGet, server+"/readyz", token, ""); err != nil {
			return err
		}
		// The API server creates this namespace itself, a moment after it is ready.
		_, err := request(ctx, transport, http.MethodGet, server+"/api/v1/namespaces/default", token, "")
		return err
	})
	if err == nil {
		c.ready("kube-apiserver is ready at " + server)
	}
	return err
}

// request returns the body of a 200 answer; anything else is an error.
func request(ctx context.Context, transport http.RoundTripper, method, url, token, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %.300s", method, url, resp.Status, answer)
	}
	return string(answer), err
}
