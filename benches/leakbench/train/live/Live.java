// One program on the JVM for record.py: what it does stands in its arguments, see README.md.
import java.io.RandomAccessFile;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.*;
import java.util.*;
import java.util.function.Supplier;
import java.util.stream.*;

public class Live {
    static final Map<String, String> settings = new HashMap<>();
    static Random rng;
    static long number;
    static final String PATTERN = "abcdefgh".repeat(1 << 17);

    static final class Entity {
        final long number;
        final String name;
        final byte[] payload;
        final List<Long> tags;

        Entity(long number, byte[] payload) {
            this.number = number;
            this.name = "record-" + number;
            this.payload = payload;
            this.tags = List.of(number, number + 1);
        }
    }

    /** One behaviour: its settings and what it holds. */
    static final class Part {
        final String name;
        final Map<String, String> words = new HashMap<>();
        final Map<String, Double> numbers = new HashMap<>();
        final ArrayDeque<double[]> steps = new ArrayDeque<>();
        double used, owed, next;
        long seen;
        List<Object> list = new ArrayList<>();
        ArrayDeque<Object> queue = new ArrayDeque<>();
        Map<Object, Object> map = new HashMap<>();
        LinkedHashMap<Integer, Object> entries = new LinkedHashMap<>(16, 0.75f, true);
        Map<Long, List<Object>> due = new HashMap<>();
        StringBuilder text = new StringBuilder();

        Part(String name, String rest) {
            this.name = name;
            for (String pair : rest.split(",")) {
                String[] both = pair.split("=");
                if (both[0].equals("steps")) {
                    for (String step : both[1].split("\\+")) {
                        String[] atAndSize = step.split("/");
                        steps.add(new double[] {Double.parseDouble(atAndSize[0]), Double.parseDouble(atAndSize[1])});
                    }
                } else if (both[0].equals("kind") || both[0].equals("by")) {
                    words.put(both[0], both[1]);
                } else {
                    numbers.put(both[0], Double.parseDouble(both[1]));
                }
            }
        }

        double v(String key) {
            return numbers.get(key);
        }

        String kind() {
            return words.get("kind");
        }

        double keep(String kind, int size) {
            if (kind.equals("map")) map.put("key-" + number, thing(kind, size));
            else list.add(thing(kind, size));
            return size;
        }

        void step(double now, double dt, double load, int requests) throws Exception {
            switch (name) {
                case "base" -> base(now);
                case "garbage" -> garbage(requests);
                case "cache" -> cache(requests);
                case "batch" -> batch(now);
                case "fragment" -> fragment(now);
                case "warmup" -> warmup(now);
                case "sessions" -> sessions(now, requests);
                case "pool" -> pool(load);
                case "reload" -> reload(now);
                case "log" -> log(requests);
                case "leak" -> leak(now, dt, load);
                default -> throw new IllegalArgumentException("live: no behaviour named " + name);
            }
        }

        void base(double now) {
            double want = v("bytes") * (v("over") > 0 ? Math.min(1, now / v("over")) : 1);
            while (used < want) used += keep(kind(), varied(v("size")));
        }

        void garbage(int requests) {
            for (int r = 0; r < requests; r++) {
                List<Object> made = new ArrayList<>();
                for (int i = Math.max(1, (int) (v("bytes") / v("size"))); i > 0; i--) made.add(thing(kind(), varied(v("size"))));
                queue.add(made);
                while (queue.size() > v("held")) queue.poll();
            }
        }

        void cache(int requests) {
            for (owed += requests * v("share"); owed >= 1; owed--) {
                int key = (int) (v("keys") * Math.pow(rng.nextDouble(), v("skew")));
                if (entries.get(key) != null) continue;
                entries.put(key, thing(kind(), varied(v("size"))));
                for (used += v("size"); used > v("max"); used -= v("size")) {
                    Iterator<Integer> oldest = entries.keySet().iterator();
                    oldest.next();
                    oldest.remove();
                }
            }
        }

        void batch(double now) {
            double since = (now + v("phase")) % v("period");
            if (since >= v("last")) {
                if (used > 0) {
                    list = new ArrayList<>();
                    map = new HashMap<>();
                }
                used = 0;
                return;
            }
            while (used < v("bytes") * Math.min(1, since / (0.3 * v("last")))) used += keep(kind(), varied(v("size")));
        }

        void fragment(double now) {
            if (now < next) return;
            next = now + v("period") * (0.7 + 0.6 * rng.nextDouble());
            List<Object> kept = new ArrayList<>();
            int i = 0;
            for (double total = 0; total < v("bytes"); i++) {
                int size = (int) (v("size") * Math.pow(v("max") / v("size"), rng.nextDouble()));
                byte[] made = new byte[size];
                if (i % 2 == 0) kept.add(made);
                total += size;
            }
            queue.add(kept);
            while (queue.size() > v("keep")) queue.poll();
        }

        void warmup(double now) throws Exception {
            while (!steps.isEmpty() && steps.peek()[0] <= now) {
                double left = steps.poll()[1];
                if (kind().equals("modules")) loadClasses((int) (left / 8000) + 1);
                else while (left > 0) left -= keep("map", varied(Math.min(left, v("size"))));
            }
        }

        void loadClasses(int count) throws Exception {
            if (list.isEmpty()) {
                try (Stream<Path> found = Files.walk(FileSystems.getFileSystem(URI.create("jrt:/")).getPath("/modules/java.base"))) {
                    found.map(Path::toString).filter(s -> s.endsWith(".class") && s.contains("/java/"))
                        .map(s -> s.substring(19, s.length() - 6).replace('/', '.')).sorted().forEach(list::add);
                }
                Collections.shuffle(list, rng);
            }
            for (; count > 0 && seen < list.size(); count--) {
                try {
                    Class.forName((String) list.get((int) seen++), false, Live.class.getClassLoader()).getDeclaredMethods();
                } catch (Throwable unloadable) {
                    continue;
                }
            }
        }

        void sessions(double now, int requests) {
            for (owed += requests * v("share"); owed >= 1; owed--) {
                long ends = (long) (now + Math.min(7200, -Math.log(1 - rng.nextDouble()) * v("life")));
                due.computeIfAbsent(ends, k -> new ArrayList<>()).add(thing(kind(), varied(v("bytes"))));
            }
            for (; seen < (long) now; seen++) due.remove(seen);
        }

        void pool(double load) {
            double want = Math.min(v("max"), v("keys") * load * Math.exp(0.4 * rng.nextGaussian()));
            while (list.size() < want) list.add(new byte[(int) v("size")]);
        }

        void reload(double now) {
            if (now < next) return;
            next = now + v("period");
            Map<Object, Object> fresh = new HashMap<>();
            for (double total = 0; total < v("bytes");) {
                int size = varied(v("size"));
                fresh.put(fresh.size(), thing(kind(), size));
                total += size;
            }
            map = fresh;
        }

        void log(int requests) {
            for (int i = (int) (requests * v("share")); i >= 0; i--) text.append(PATTERN, 0, Math.min(PATTERN.length(), varied(v("size"))));
            if (text.length() > v("max")) text = new StringBuilder();
        }

        void leak(double now, double dt, double load) {
            if (now < v("onset")) return;
            owed += v("rate") * dt * (words.get("by").equals("work") ? load : 1);
            if (next == 0) next = varied(v("size"));
            while (owed >= next) {
                owed -= keep(kind(), (int) next);
                next = varied(v("size"));
            }
        }
    }

    static int varied(double size) {
        return (int) Math.max(16, size * (0.5 + rng.nextDouble()));
    }

    static byte[] block(int size) {
        byte[] b = new byte[size];
        Arrays.fill(b, (byte) 'b');
        return b;
    }

    static Object thing(String kind, int size) {
        number++;
        switch (kind) {
            case "records":
                return new Entity(number, block(size));
            case "strings":
                return new String(block(size), java.nio.charset.StandardCharsets.ISO_8859_1);
            case "closures": {
                byte[] payload = block(size);
                return (Supplier<Integer>) () -> payload.length;
            }
            case "native": {
                ByteBuffer b = ByteBuffer.allocateDirect(size);
                for (int i = 0; i < size; i += 1024) b.put(i, (byte) 1);
                return b;
            }
            default:
                return block(size);
        }
    }

    static double number(String key) {
        return Double.parseDouble(settings.get(key));
    }

    /** Sixteen characters, made with little work: the compiler would show in the memory of all programs at the same age. */
    static byte[] digits(long value) {
        byte[] out = "               0".getBytes();
        for (int i = 15; value > 0; i--, value /= 10) out[i] = (byte) ('0' + value % 10);
        return out;
    }

    public static void main(String[] arguments) throws Exception {
        List<Part> wanted = new ArrayList<>();
        for (String argument : arguments) {
            int colon = argument.indexOf(':'), equals = argument.indexOf('=');
            if (colon >= 0 && colon < equals) wanted.add(new Part(argument.substring(0, colon), argument.substring(colon + 1)));
            else settings.put(argument.substring(0, equals), argument.substring(equals + 1));
        }
        byte[] curve = Files.readAllBytes(Path.of(settings.get("load")));
        rng = new Random((long) number("seed"));
        double factor = number("factor"), first = number("from"), rate = number("rate"), tick = number("tick"), until = number("until");
        RandomAccessFile heap = new RandomAccessFile(settings.get("heap"), "rw");
        long start = System.nanoTime(), told = -1;
        double before = 0, owed = 0;
        while (before < until) {
            double now = (System.nanoTime() - start) / 1e9 * factor, dt = now - before;
            double load = (curve[Math.min(curve.length - 1, (int) (first + now))] & 255) / 32.0;
            before = now;
            owed = Math.min(owed + rate * load * dt, 10 * rate + 10);
            int requests = (int) owed;
            owed -= requests;
            for (Part p : wanted) p.step(now, dt, load, requests);
            if ((long) now > told) {
                told = (long) now;
                Runtime runtime = Runtime.getRuntime();
                heap.seek(0);
                heap.write(digits(runtime.totalMemory() - runtime.freeMemory()));
            }
            Thread.sleep((long) (tick / factor * 1000));
        }
    }
}
