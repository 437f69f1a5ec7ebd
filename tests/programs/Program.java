// A watched program for the end-to-end tests, in Java. README.md beside this file says what every option and behaviour
// means; all five sources follow it alike.
//
// Live memory is made of byte arrays of 1 to 8 KiB, each filled with written content and counted with its object
// headers, so that resident memory follows the amount asked for.

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;

public final class Program {
    // Work happens in short ticks: often enough for a smooth curve at 200 ms sampling, seldom enough to cost no CPU.
    private static final long TICK_MILLIS = 40;
    // After a stall, garbage is not made up for, since a burst would move the peak and not the floor.
    private static final double LONGEST_GARBAGE_SECONDS = 0.2;
    private static final int LARGEST_BODY = 8192;
    // An array has 16 bytes of header; the link that holds it has 12, and two compressed references of 4, rounded to 8.
    private static final int ARRAY_OVERHEAD = 16 + 24;

    public static void main(String[] words) throws InterruptedException {
        Options options = Options.read(words);
        endOnSignalOrInput();

        Random sizes = new Random(options.whole("--seed"));
        Pool base = new Pool(sizes);
        base.resize(options.number("--base"));
        Pool live = new Pool(sizes);
        Flow cache = new Flow(sizes);
        cache.turn(options.number("--cache"), options.number("--cache"));
        Flow sessions = new Flow(sizes);
        Garbage garbage = new Garbage(sizes, options.number("--garbage"));
        GiveBack giveBack = new GiveBack(options.number("--amplitude"));
        DoubleUnaryOperator wanted = liveCurve(options);
        System.out.println("ready pid=" + ProcessHandle.current().pid());
        System.out.flush();

        double end = options.number("--seconds");
        long start = System.nanoTime();
        // The base is named in the condition, which keeps it reachable for as long as the program runs.
        for (double seconds = 0; seconds < end && base.bytes >= 0; seconds = (System.nanoTime() - start) / 1e9) {
            giveBack.after(live.resize(wanted.applyAsDouble(seconds)));
            turnCache(cache, options, seconds);
            double work = doneWork(options, seconds);
            double open = options.number("--sessions") * options.number("--life") * pace(options, seconds);
            sessions.turn(options.number("--sessions") * work, open);
            garbage.make(work);
            Thread.sleep(TICK_MILLIS);
        }
    }

    private static void endOnSignalOrInput() {
        // A virtual machine that is terminated answers 143; halting within its shutdown makes the answer 0.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> Runtime.getRuntime().halt(0)));
        Thread input = new Thread(() -> {
            byte[] unused = new byte[4096];
            try {
                while (System.in.read(unused) >= 0) {
                    // What is written to the program has no meaning; only the end of it has.
                }
            } catch (IOException closed) {
                // A closed input has ended as well.
            }
            System.exit(0);
        });
        input.setDaemon(true);
        input.start();
    }

    /** What enters the cache follows the clock; once the program leaks, nothing leaves it. */
    private static void turnCache(Flow cache, Options options, double seconds) {
        boolean leaks = options.behaviour().equals("leak");
        double bound = options.number("--cache");
        if (!leaks && bound == 0) {
            return;
        }
        double rate = options.number("--rate");
        double leaked = leaks ? rate * Math.max(0, seconds - options.number("--onset")) : 0;
        cache.turn(bound + rate * seconds, bound + leaked);
    }

    /** How much busier than usual the program is: the load swings. */
    private static double pace(Options options, double seconds) {
        return 1 + options.number("--swing") / 100 * Math.sin(2 * Math.PI * seconds / options.number("--period"));
    }

    /** The sum of the pace since the start, which is the seconds where the load does not swing. */
    private static double doneWork(Options options, double seconds) {
        double turn = 2 * Math.PI / options.number("--period");
        return seconds + options.number("--swing") / 100 * (1 - Math.cos(turn * seconds)) / turn;
    }

    /** The bytes held above the base and the cache, as a function of the seconds since the start. */
    private static DoubleUnaryOperator liveCurve(Options options) {
        double amplitude = options.number("--amplitude");
        double period = options.number("--period");
        return switch (options.behaviour()) {
            case "sawtooth" -> new Sawtooth(amplitude, period, new Random(options.whole("--seed") + 1));
            case "warmup" -> seconds -> amplitude * (1 - Math.exp(-seconds / period));
            case "daily" -> seconds -> amplitude * (1 - Math.cos(2 * Math.PI * seconds / period)) / 2;
            case "step" -> seconds -> seconds < period ? 0 : amplitude;
            default -> seconds -> 0;
        };
    }

    /** The slope is constant and the drop comes early or late by up to a quarter, so the peaks vary by as much. */
    private static final class Sawtooth implements DoubleUnaryOperator {
        private final double amplitude;
        private final double period;
        private final Random random;
        private double began = 0;
        private double ends;

        Sawtooth(double amplitude, double period, Random random) {
            this.amplitude = amplitude;
            this.period = period;
            this.random = random;
            this.ends = cycleLength();
        }

        @Override
        public double applyAsDouble(double seconds) {
            while (seconds >= ends) {
                began = ends;
                ends += cycleLength();
            }
            return amplitude * (seconds - began) / period;
        }

        private double cycleLength() {
            return period * (0.75 + 0.5 * random.next() / 4294967296.0);
        }
    }

    private record Link(byte[] body, Link below) {}

    /** A stack of byte arrays that is resized to a number of bytes, overhead included. */
    private static final class Pool {
        private final Random sizes;
        private double bytes = 0;
        private Link top = null;

        Pool(Random sizes) {
            this.sizes = sizes;
        }

        /** Returns the change in bytes: above zero for growth, below for blocks dropped. */
        double resize(double target) {
            double before = bytes;
            // Stops within half of the largest block of the target, so that the rounding has no lasting direction.
            while (bytes + LARGEST_BODY / 2 <= target) {
                top = new Link(written(sizes.bodySize()), top);
                bytes += top.body.length + ARRAY_OVERHEAD;
            }
            while (top != null && bytes - LARGEST_BODY > target) {
                bytes -= top.body.length + ARRAY_OVERHEAD;
                top = top.below;
            }
            return bytes - before;
        }
    }

    private static final class Entry {
        private final byte[] body;
        private Entry next = null;

        Entry(byte[] body) {
            this.body = body;
        }
    }

    /** A queue of byte arrays: new ones enter at the end, and the oldest leave once it holds more than it may. */
    private static final class Flow {
        private final Random sizes;
        private double bytes = 0;
        private double entered = 0;
        private Entry oldest = null;
        private Entry newest = null;

        Flow(Random sizes) {
            this.sizes = sizes;
        }

        /** Lets arrays in until so many bytes have entered in all, and out until it holds no more than the bound. */
        void turn(double entered, double bound) {
            while (this.entered + LARGEST_BODY / 2 <= entered) {
                enter();
            }
            while (oldest != null && bytes - LARGEST_BODY > bound) {
                leave();
            }
        }

        private void enter() {
            Entry entry = new Entry(written(sizes.bodySize()));
            if (newest == null) {
                oldest = entry;
            } else {
                newest.next = entry;
            }
            newest = entry;
            bytes += entry.body.length + ARRAY_OVERHEAD;
            entered += entry.body.length + ARRAY_OVERHEAD;
        }

        private void leave() {
            Entry entry = oldest;
            oldest = entry.next;
            if (oldest == null) {
                newest = null;
            }
            // An entry that is already old would otherwise keep the next from dying young.
            entry.next = null;
            bytes -= entry.body.length + ARRAY_OVERHEAD;
        }
    }

    /** Short-lived arrays: the ones of a tick are held until the next, then dropped. */
    private static final class Garbage {
        private final Random sizes;
        private final double bytesPerSecond;
        private double last = 0;
        private double owed = 0;
        private List<byte[]> held = new ArrayList<>();

        Garbage(Random sizes, double bytesPerSecond) {
            this.sizes = sizes;
            this.bytesPerSecond = bytesPerSecond;
        }

        void make(double seconds) {
            owed += bytesPerSecond * Math.min(seconds - last, LONGEST_GARBAGE_SECONDS);
            last = seconds;
            held = new ArrayList<>();
            while (owed > 0) {
                byte[] body = written(sizes.bodySize());
                held.add(body);
                owed -= body.length + ARRAY_OVERHEAD;
            }
        }
    }

    /** Asks the runtime to return dropped memory after each eighth of the amplitude, and when a descent has ended. */
    private static final class GiveBack {
        private final double enough;
        private double dropped = 0;

        GiveBack(double amplitude) {
            this.enough = amplitude / 8;
        }

        void after(double change) {
            if (change < 0) {
                dropped -= change;
            }
            if (dropped > 0 && (dropped >= enough || change > 0)) {
                dropped = 0;
                System.gc();
            }
        }
    }

    private static byte writtenSoFar = 0;

    /** An array of its own with new content: every byte is written, so every page of it is touched. */
    private static byte[] written(int size) {
        byte[] body = new byte[size];
        writtenSoFar++;
        Arrays.fill(body, (byte) (writtenSoFar | 1));
        return body;
    }

    /** Xorshift in 32 bits, since every one of the five languages computes it alike. */
    private static final class Random {
        private int state;

        Random(long seed) {
            int mixed = (int) (seed * 2654435761L + 2654435769L);
            state = mixed == 0 ? 1 : mixed;
        }

        long next() {
            state ^= state << 13;
            state ^= state >>> 17;
            state ^= state << 5;
            return Integer.toUnsignedLong(state);
        }

        int bodySize() {
            return 1024 << (next() >>> 30);
        }
    }

    private record Options(String behaviour, Map<String, Double> numbers) {
        private static final List<String> BEHAVIOURS =
            List.of("leak", "sawtooth", "warmup", "daily", "step", "steady");
        private static final String EXPECTED_BEHAVIOUR = "one of " + String.join(", ", BEHAVIOURS);
        private static final List<String> POSITIVE = List.of("--life", "--period", "--seconds");

        double number(String name) {
            return numbers.get(name);
        }

        long whole(String name) {
            return numbers.get(name).longValue();
        }

        static Options read(String[] words) {
            String behaviour = null;
            Map<String, Double> numbers = new LinkedHashMap<>();
            numbers.put("--rate", 200000.0);
            numbers.put("--onset", 0.0);
            numbers.put("--garbage", 4000000.0);
            numbers.put("--sessions", 0.0);
            numbers.put("--life", 5.0);
            numbers.put("--swing", 0.0);
            numbers.put("--base", 25165824.0);
            numbers.put("--cache", 0.0);
            numbers.put("--amplitude", 33554432.0);
            numbers.put("--period", 60.0);
            numbers.put("--seed", 1.0);
            numbers.put("--seconds", 900.0);
            for (int i = 0; i < words.length; i += 2) {
                String name = words[i];
                boolean named = name.equals("--behaviour");
                if (!named && !numbers.containsKey(name)) {
                    refuse("unknown option '" + name + "', accepted: --behaviour, "
                        + String.join(", ", numbers.keySet()));
                }
                String expected = named ? EXPECTED_BEHAVIOUR : expectedNumber(name);
                if (i + 1 == words.length) {
                    refuse(name + ": value missing, expected " + expected);
                }
                String text = words[i + 1];
                if (named ? !BEHAVIOURS.contains(text) : !validNumber(name, text)) {
                    refuse(name + ": '" + text + "' is not " + expected);
                }
                if (named) {
                    behaviour = text;
                } else {
                    numbers.put(name, Double.parseDouble(text));
                }
            }
            if (behaviour == null) {
                refuse("--behaviour: missing, expected " + EXPECTED_BEHAVIOUR);
            }
            return new Options(behaviour, numbers);
        }

        private static String expectedNumber(String name) {
            if (POSITIVE.contains(name)) {
                return "a number above 0, at most 1000000";
            }
            return "a whole number from 0 to " + (name.equals("--swing") ? "100" : "1000000000");
        }

        private static boolean validNumber(String name, String text) {
            if (POSITIVE.contains(name)) {
                return text.matches("[0-9]{1,7}(\\.[0-9]{1,6})?")
                    && Double.parseDouble(text) > 0 && Double.parseDouble(text) <= 1e6;
            }
            return text.matches("[0-9]{1,10}")
                && Double.parseDouble(text) <= (name.equals("--swing") ? 100 : 1e9);
        }

        private static void refuse(String message) {
            System.err.println("program: " + message);
            System.exit(2);
        }
    }
}
