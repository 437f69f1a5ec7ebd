import com.sun.net.httpserver.HttpServer;
import io.micrometer.core.instrument.binder.jvm.ClassLoaderMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmGcMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.micrometer.core.instrument.binder.system.FileDescriptorMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.prometheus.client.CollectorRegistry;
import io.prometheus.client.exporter.common.TextFormat;
import io.prometheus.client.hotspot.DefaultExports;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.instrumentation.jvm.JvmMetrics;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.ByteArrayOutputStream;
import java.io.OutputStreamWriter;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.management.MemoryUsage;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * An application on a JVM whose metrics three libraries tell, each on a page of its own: Micrometer, client_java and the
 * client_java of before, whose names jmx_exporter writes too. Its own account is beside them. It ends with its standard
 * input.
 */
public final class App {
    private static final int MEBIBYTE = 1024 * 1024;
    private static final List<byte[]> HELD = new ArrayList<>();
    private static final ByteBuffer DIRECT = ByteBuffer.allocateDirect(32 * MEBIBYTE);

    private interface Page {
        byte[] write() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        for (int block = 0; block < 96; block++) {
            HELD.add(new byte[MEBIBYTE - 64]);
        }
        PrometheusMeterRegistry micrometer = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        new JvmMemoryMetrics().bindTo(micrometer);
        JvmGcMetrics collections = new JvmGcMetrics();
        collections.bindTo(micrometer);
        new JvmThreadMetrics().bindTo(micrometer);
        new ClassLoaderMetrics().bindTo(micrometer);
        new FileDescriptorMetrics().bindTo(micrometer);
        new UptimeMetrics().bindTo(micrometer);
        JvmMetrics.builder().register();
        DefaultExports.initialize();
        // From here on it is known what is alive.
        System.gc();

        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        serve(server, "/micrometer", () -> micrometer.scrape().getBytes());
        serve(server, "/client", App::client);
        serve(server, "/simpleclient", App::simpleclient);
        serve(server, "/account", App::account);
        server.start();
        System.out.println("ready port=" + server.getAddress().getPort());
        while (System.in.read() >= 0) {
            // Only its end matters.
        }
        collections.close();
        server.stop(0);
        System.exit(HELD.size() + DIRECT.capacity() > 0 ? 0 : 1);
    }

    private static void serve(HttpServer server, String path, Page page) {
        server.createContext(path, exchange -> {
            try (exchange) {
                byte[] body = page.write();
                exchange.sendResponseHeaders(200, body.length);
                exchange.getResponseBody().write(body);
            } catch (Exception error) {
                error.printStackTrace();
            }
        });
    }

    private static byte[] client() throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        PrometheusTextFormatWriter.create().write(out, PrometheusRegistry.defaultRegistry.scrape());
        return out.toByteArray();
    }

    private static byte[] simpleclient() throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (OutputStreamWriter writer = new OutputStreamWriter(out)) {
            TextFormat.write004(writer, CollectorRegistry.defaultRegistry.metricFamilySamples());
        }
        return out.toByteArray();
    }

    private static byte[] account() {
        MemoryUsage heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
        long live = 0;
        long metaspace = 0;
        for (MemoryPoolMXBean pool : ManagementFactory.getMemoryPoolMXBeans()) {
            if (pool.getName().equals("Tenured Gen")) {
                live = pool.getCollectionUsage().getUsed();
            } else if (pool.getName().equals("Metaspace")) {
                metaspace = pool.getUsage().getUsed();
            }
        }
        long direct = 0;
        for (BufferPoolMXBean pool : ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class)) {
            if (pool.getName().equals("direct")) {
                direct = pool.getMemoryUsed();
            }
        }
        String account = "{\"heap\": %d, \"heap_committed\": %d, \"heap_max\": %d, \"heap_after_gc\": %d, "
            + "\"metaspace\": %d, \"direct_buffers\": %d}";
        return String.format(
            account, heap.getUsed(), heap.getCommitted(), heap.getMax(), live, metaspace, direct).getBytes();
    }
}
