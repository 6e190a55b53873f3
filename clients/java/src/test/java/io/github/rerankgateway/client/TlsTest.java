package io.github.rerankgateway.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.ServerCredentials;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import io.grpc.TlsServerCredentials;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.time.Duration;
import java.util.List;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Encrypted, and only with whom the client trusts. */
final class TlsTest {
  private static final String PASSWORD = "password";

  @TempDir private Path folder;
  private KeyStore keys;
  private PlayedGateway gateway;

  @BeforeEach
  void start() throws IOException, InterruptedException, GeneralSecurityException {
    keys = selfSigned(folder.resolve("keys.p12"));
    KeyManagerFactory own = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    own.init(keys, PASSWORD.toCharArray());
    ServerCredentials credentials =
        TlsServerCredentials.newBuilder().keyManager(own.getKeyManagers()).build();
    gateway = PlayedGateway.startWith(credentials);
  }

  @AfterEach
  void stop() {
    gateway.close();
  }

  @Test
  void aClientCallsWhomItTrusts() throws GeneralSecurityException {
    TrustManagerFactory trusted =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trusted.init(keys);
    try (RerankClient client =
        RerankClient.builder(gateway.address())
            .credentials(
                TlsChannelCredentials.newBuilder().trustManager(trusted.getTrustManagers()).build())
            .build()) {
      assertEquals("hello", client.rerank("hello", List.of()).getMessage());
    }
  }

  @Test
  void aClientDoesNotCallAStranger() {
    assertNotCalled(RerankClient.builder(gateway.address()).tls());
  }

  @Test
  void withoutTlsThereIsNoCall() {
    assertNotCalled(RerankClient.builder(gateway.address()));
  }

  private void assertNotCalled(RerankClientBuilder builder) {
    // It waits for a gateway that it can call, as long as the deadline allows.
    try (RerankClient client = builder.deadline(Duration.ofMillis(500)).build()) {
      RerankException e = assertThrows(RerankException.class, () -> client.rerank("q", List.of()));
      assertEquals(Status.Code.DEADLINE_EXCEEDED, e.code());
    }
  }

  private static KeyStore selfSigned(Path file)
      throws IOException, InterruptedException, GeneralSecurityException {
    String keytool = Path.of(System.getProperty("java.home"), "bin", "keytool").toString();
    Process process =
        new ProcessBuilder(
                keytool,
                "-genkeypair",
                "-keyalg",
                "EC",
                "-alias",
                "gateway",
                "-dname",
                "CN=localhost",
                "-ext",
                "san=dns:localhost",
                "-storetype",
                "PKCS12",
                "-storepass",
                PASSWORD,
                "-keystore",
                file.toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes());
    assertEquals(0, process.waitFor(), said);

    KeyStore pair = KeyStore.getInstance("PKCS12");
    try (InputStream stream = new FileInputStream(file.toFile())) {
      pair.load(stream, PASSWORD.toCharArray());
    }
    // What is trusted is a certificate, not a pair of keys.
    pair.setCertificateEntry("trusted", pair.getCertificate("gateway"));
    return pair;
  }
}
