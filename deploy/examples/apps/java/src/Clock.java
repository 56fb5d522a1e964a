import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Instant;
import java.util.concurrent.Executors;

/** The time, on the server that the JDK itself has. */
public class Clock {
    public static void main(String[] args) throws IOException {
        String host = System.getenv().getOrDefault("HOST", "127.0.0.1");
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress(host, port), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", exchange -> answer(exchange, "hello from java\n"));
        server.createContext("/now", exchange -> answer(exchange, Instant.now() + "\n"));
        server.createContext("/jvm", exchange -> answer(exchange, jvm() + "\n"));
        server.start();
        System.out.println("listening on " + port);
    }

    private static String jvm() {
        long heap = Runtime.getRuntime().maxMemory() >> 20;
        return "heap up to " + heap + " MiB, home " + System.getProperty("user.home");
    }

    private static void answer(HttpExchange exchange, String text) throws IOException {
        byte[] body = text.getBytes();
        exchange.getResponseHeaders().set("Content-Type", "text/plain");
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
