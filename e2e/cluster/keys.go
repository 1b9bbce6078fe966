package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// keys are what the API server needs: a certificate of its own, which is also
// what clients trust, and the pair that signs service accounts' tokens.
type keys struct {
	certificate                                  []byte // PEM
	certificateFile, keyFile                     string
	serviceAccountFile, serviceAccountPublicFile string
}

func writeKeys(dir string) (keys, error) {
	k := keys{
		certificateFile:          filepath.Join(dir, "apiserver.crt"),
		keyFile:                  filepath.Join(dir, "apiserver.key"),
		serviceAccountFile:       filepath.Join(dir, "service-account.key"),
		serviceAccountPublicFile: filepath.Join(dir, "service-account.pub"),
	}
	certificate, key, err := servingPair()
	if err != nil {
		return keys{}, err
	}
	signer, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return keys{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(&signer.PublicKey)
	if err != nil {
		return keys{}, err
	}
	k.certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	for file, block := range map[string]*pem.Block{
		k.certificateFile:          {Type: "CERTIFICATE", Bytes: certificate},
		k.keyFile:                  {Type: "EC PRIVATE KEY", Bytes: key},
		k.serviceAccountFile:       {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(signer)},
		k.serviceAccountPublicFile: {Type: "PUBLIC KEY", Bytes: public},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			return keys{}, err
		}
	}
	return k, nil
}

// servingPair makes a self-signed certificate for loopback, in DER.
func servingPair() (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "gsq local cluster"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:              []string{"localhost", "kubernetes.default.svc"},
	}
	if certificate, err = x509.CreateCertificate(rand.Reader, template, template, private.Public(), private); err != nil {
		return nil, nil, err
	}
	key, err = x509.MarshalECPrivateKey(private)
	return certificate, key, err
}

func kubeconfig(server string, certificate []byte, token string) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
  - name: gsq-local
    cluster:
      server: %s
      certificate-authority-data: %s
users:
  - name: admin
    user:
      token: %s
contexts:
  - name: gsq-local
    context: {cluster: gsq-local, user: admin, namespace: default}
current-context: gsq-local
`, server, base64.StdEncoding.EncodeToString(certificate), token)
}
