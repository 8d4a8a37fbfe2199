import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/** Files, threads, processes, sockets and timers, on the JVM. */
public class Demo {
    public static void main(String[] args) throws Exception {
        Path dir = Files.createTempDirectory("demo");
        Path file = dir.resolve("f");
        Files.write(file, new byte[1 << 16]);
        Files.copy(file, dir.resolve("g"));
        Files.move(dir.resolve("g"), dir.resolve("h"));
        try (FileChannel c = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
             var watcher = dir.getFileSystem().newWatchService()) {
            c.map(FileChannel.MapMode.READ_WRITE, 0, 4096).force();
            c.lock().release();
        }
        var pool = Executors.newFixedThreadPool(8);
        for (int i = 0; i < 32; i++) pool.submit(() -> IntStream.range(0, 100000).sum());
        pool.shutdown();
        check(pool.awaitTermination(10, TimeUnit.SECONDS));
        check(IntStream.range(0, 1000).parallel().sum() == 499500);
        var timer = Executors.newSingleThreadScheduledExecutor();
        timer.schedule(() -> { }, 5, TimeUnit.MILLISECONDS).get();
        timer.shutdown();

        Process child = new ProcessBuilder("cat").start();
        child.getOutputStream().write("in".getBytes());
        child.getOutputStream().close();
        try (InputStream out = child.getInputStream()) {
            check(new String(out.readAllBytes()).equals("in"));
        }
        check(child.waitFor() == 0);

        var server = com.sun.net.httpserver.HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", x -> { x.sendResponseHeaders(200, 5); x.getResponseBody().write("hello".getBytes()); x.close(); });
        server.start();
        var request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/")).build();
        check(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body().equals("hello"));
        server.stop(0);
        try (ServerSocket listener = new ServerSocket(0); Socket s = new Socket("127.0.0.1", listener.getLocalPort())) {
            listener.accept().close();
        }
        InetAddress.getByName("localhost");
        NetworkInterface.getNetworkInterfaces();
        new SecureRandom().nextBytes(new byte[8]);
        System.gc();
        System.out.println("ok");
        System.exit(0);
    }

    static void check(boolean ok) {
        if (!ok) throw new AssertionError();
    }
}
