import com.hivemq.embedded.EmbeddedExtension;
import com.hivemq.embedded.EmbeddedHiveMQ;
import com.hivemq.extension.sdk.api.ExtensionMain;
import com.hivemq.extension.sdk.api.auth.SimpleAuthenticator;
import com.hivemq.extension.sdk.api.auth.parameter.SimpleAuthInput;
import com.hivemq.extension.sdk.api.auth.parameter.SimpleAuthOutput;
import com.hivemq.extension.sdk.api.auth.PublishAuthorizer;
import com.hivemq.extension.sdk.api.parameter.*;
import com.hivemq.extension.sdk.api.services.Services;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** HiveMQ with one user, who may not publish to topics that begin with "denied"; the arguments are its folder, the user and the password. */
public class Broker {
    public static void main(String[] given) throws Exception {
        SimpleAuthenticator check = (SimpleAuthInput in, SimpleAuthOutput out) -> {
            var packet = in.getConnectPacket();
            var password = packet.getPassword().map(p -> StandardCharsets.UTF_8.decode(p).toString()).orElse("");
            if (packet.getUserName().orElse("").equals(given[1]) && password.equals(given[2])) out.authenticateSuccessfully();
            else out.failAuthentication();
        };
        ExtensionMain main = new ExtensionMain() {
            public void extensionStart(ExtensionStartInput in, ExtensionStartOutput out) {
                Services.securityRegistry().setAuthenticatorProvider(i -> check);
                PublishAuthorizer rights = (i, o) -> {
                    if (i.getPublishPacket().getTopic().startsWith("denied")) o.failAuthorization();
                    else o.authorizeSuccessfully();
                };
                Services.securityRegistry().setAuthorizerProvider(i -> rights);
            }
            public void extensionStop(ExtensionStopInput in, ExtensionStopOutput out) {}
        };
        var extension = EmbeddedExtension.builder().withId("one-user").withName("one user").withVersion("1").withAuthor("trikk").withPriority(0).withExtensionMain(main).build();
        var home = Path.of(given[0]);
        var broker = EmbeddedHiveMQ.builder().withConfigurationFolder(home.resolve("conf")).withDataFolder(home.resolve("data")).withExtensionsFolder(home.resolve("extensions")).withEmbeddedExtension(extension).build();
        broker.start().join();
    }
}
