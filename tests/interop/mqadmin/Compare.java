import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Runs the commands of a list with the stock mqadmin against two clusters, Apache RocketMQ and ours, all in this
 * one JVM, and compares what is printed: rows, columns, error codes and remarks, with the values taken out.
 *
 * <pre>java -cp JARS Compare.java DIR APACHE_NAMESRV OUR_NAMESRV COMMANDS EXCEPTIONS [ONLY]</pre>
 *
 * COMMANDS has a line for each run, `id priority [@seconds] word…`; EXCEPTIONS a line for each allowed difference,
 * `id | rule | argument | reason`. What each run printed stands in DIR/apache and DIR/ours.
 */
public final class Compare {
    /** Commands keep their clients: each run gets new ones. */
    private static final class Fresh extends MQAdminStartup {
        static void commands() {
            SUB_COMMANDS.clear();
        }
    }

    static final int LIMIT_S = 25;
    static final int DIFF_LINES = 14;
    static final PrintStream OUT = System.out;
    static final PrintStream ERR = System.err;
    /** What the thread of a run and those that it starts print into. */
    static final InheritableThreadLocal<ByteArrayOutputStream> SINK = new InheritableThreadLocal<>();

    record Command(String id, String priority, int stopAfter, List<String> words) { }

    record Exemption(String id, String rule, String argument, String reason) { }

    /** What a run printed, how it ended and how long it took. */
    record Result(List<String> lines, String end, long ms) {
        /** Values become `#`, what differs by its nature a name; stack traces keep their first line. */
        Result normalised(Prepared prepared) {
            List<String> kept = new ArrayList<>();
            for (String line : lines) {
                String text = prepared.neutral(line).trim().replaceAll("\\s+", " ");
                if (!text.isEmpty() && !NOISE.matcher(text).find()) {
                    kept.add(text);
                }
            }
            return new Result(kept, end, ms);
        }

        List<String> compared(List<Exemption> exemptions) {
            List<String> drop = arguments(exemptions, "drop");
            boolean keys = exemptions.stream().anyMatch(e -> e.rule.equals("keys"));
            Stream<String> kept = lines.stream().filter(line -> !any(drop, line));
            return (keys ? kept.map(line -> line.replaceAll("\\s*[:=].*", "")) : kept).toList();
        }
    }

    static final Pattern NOISE = Pattern.compile("^(at |\\.\\.\\. # (more|common)|RocketMQLog:|For more information|See https?://)");

    public static void main(String[] args) {
        int code = 2;
        try {
            code = compare(args) == 0 ? 0 : 1;
        } catch (Exception e) {
            e.printStackTrace(ERR);
        }
        OUT.flush();
        // Threads of the tool's own must not keep this alive.
        Runtime.getRuntime().halt(code);
    }

    static int compare(String[] args) throws Exception {
        Path dir = Path.of(args[0]);
        List<Command> commands = commands(Path.of(args[3]), args.length > 5 ? args[5] : ".*");
        List<Exemption> exemptions = exemptions(Path.of(args[4]));
        System.setOut(new PrintStream(new Switch(OUT), true));
        System.setErr(new PrintStream(new Switch(ERR), true));
        hurry();
        String run = Long.toString(System.currentTimeMillis() % 100_000_000L);
        Map<String, Result> apache = cluster("apache", args[1], run, dir, commands, exemptions);
        Map<String, Result> ours = cluster("ours", args[2], run, dir, commands, exemptions);
        System.setOut(OUT);
        System.setErr(ERR);
        return report(commands, exemptions, apache, ours);
    }

    static Map<String, Result> cluster(String label, String namesrv, String run, Path dir, List<Command> commands,
        List<Exemption> exemptions) throws Exception {
        long from = System.currentTimeMillis();
        Prepared prepared = Prepared.make(namesrv, run, dir.resolve(label + "-files"));
        long ready = System.currentTimeMillis();
        Path saved = Files.createDirectories(dir.resolve(label));
        Map<String, Result> results = new LinkedHashMap<>();
        for (Command command : commands) {
            if (has(exemptions, command.id, "skip")) {
                continue;
            }
            Result result = run(command, prepared);
            results.put(command.id, result);
            Files.writeString(saved.resolve(command.id.replace(':', '-')), String.join("\n", result.lines) + "\n");
        }
        prepared.close();
        OUT.printf("%s: prepared in %.1f s, %d commands in %.1f s%n", label, (ready - from) / 1e3, results.size(),
            (System.currentTimeMillis() - ready) / 1e3);
        return results;
    }

    /** Runs one command as `mqadmin` would, in a thread of its own and with a time limit. */
    static Result run(Command command, Prepared prepared) throws Exception {
        Path files = prepared.files.resolve(command.id.replace(':', '-'));
        List<String> words = new ArrayList<>();
        for (String word : command.words) {
            words.add(prepared.fill(word.replace("{file}", files.toString())));
        }
        words.add("-n");
        words.add(prepared.namesrv);
        ByteArrayOutputStream sink = new ByteArrayOutputStream();
        long from = System.currentTimeMillis();
        Throwable[] thrown = new Throwable[1];
        Fresh.commands();
        Thread thread = new Thread(() -> {
            SINK.set(sink);
            try {
                MQAdminStartup.main0(words.toArray(new String[0]), null);
            } catch (Throwable t) {
                thrown[0] = t;
            }
        });
        thread.setDaemon(true);
        thread.start();
        thread.join((command.stopAfter > 0 ? command.stopAfter : LIMIT_S) * 1000L);
        String end = thrown[0] != null ? "threw " + thrown[0].getClass().getSimpleName() : "returned";
        if (thread.isAlive()) {
            end = command.stopAfter > 0 ? "stopped" : "hangs";
            thread.interrupt();
        }
        long ms = System.currentTimeMillis() - from;
        String text = sink.toString(StandardCharsets.UTF_8) + contents(files);
        return new Result(text.lines().toList(), end, ms).normalised(prepared);
    }

    /** The end of a client waits up to 3 s for a thread that sleeps over an empty queue: wakes it. */
    static void hurry() {
        Thread thread = new Thread(() -> {
            while (true) {
                Map<Thread, StackTraceElement[]> all = Thread.getAllStackTraces();
                boolean ending = all.values().stream().flatMap(Stream::of).anyMatch(at ->
                    at.getClassName().endsWith(".ServiceThread") && at.getMethodName().equals("shutdown"));
                if (ending) {
                    all.keySet().stream().filter(t -> t.getName().contains("NettyEventExecutor"))
                        .forEach(Thread::interrupt);
                }
                LockSupport.parkNanos(50_000_000L);
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    /** What a command exported, with the name of each file. */
    static String contents(Path files) throws IOException {
        StringBuilder text = new StringBuilder();
        if (Files.exists(files)) {
            try (Stream<Path> walk = Files.walk(files)) {
                for (Path file : walk.filter(Files::isRegularFile).sorted().toList()) {
                    text.append("\nfile ").append(files.relativize(file)).append('\n');
                    text.append(Files.readString(file).replaceAll("([{,\\[])", "$1\n")).append('\n');
                }
            }
        }
        return text.toString();
    }

    // ---- the comparison

    static int report(List<Command> commands, List<Exemption> exemptions, Map<String, Result> apache,
        Map<String, Result> ours) {
        Map<String, Integer> verdicts = new TreeMap<>();
        List<String> differing = new ArrayList<>();
        StringBuilder details = new StringBuilder();
        OUT.printf("%-32s %-3s %12s %12s  %s%n", "COMMAND", "P", "APACHE", "OURS", "VERDICT");
        for (Command command : commands) {
            List<Exemption> own = exemptions.stream().filter(e -> matches(e.id, command.id)).toList();
            String verdict;
            String reason = own.stream().map(Exemption::reason).distinct().reduce((a, b) -> a + "; " + b).orElse("");
            Result a = apache.get(command.id);
            Result o = ours.get(command.id);
            if (a == null || o == null) {
                verdict = "skipped";
            } else {
                List<String> difference = difference(a, o, own);
                boolean exempted = own.stream().anyMatch(e -> !e.rule.equals("pending"));
                boolean pending = has(own, command.id, "pending");
                if (difference.isEmpty()) {
                    verdict = pending ? "same, no longer pending" : exempted ? "excepted" : "same";
                } else if (pending) {
                    verdict = "pending";
                } else {
                    verdict = "DIFFERS";
                    differing.add(command.id);
                    details.append("\n--- ").append(command.id).append(": ").append(String.join(" ", command.words))
                        .append('\n');
                    difference.stream().limit(DIFF_LINES).forEach(line -> details.append(line).append('\n'));
                    if (difference.size() > DIFF_LINES) {
                        details.append("  … and ").append(difference.size() - DIFF_LINES).append(" more\n");
                    }
                }
            }
            verdicts.merge(verdict, 1, Integer::sum);
            OUT.printf("%-32s %-3s %12s %12s  %s%s%n", command.id, command.priority, cell(a), cell(o), verdict,
                verdict.equals("same") || reason.isEmpty() ? "" : ": " + reason);
        }
        OUT.print(details);
        OUT.printf("INTEROP mqadmin commands=%d same=%d excepted=%d skipped=%d pending=%d differ=%d%s%n",
            commands.size(), count(verdicts, "same"), count(verdicts, "excepted"), count(verdicts, "skipped"),
            count(verdicts, "pending") + count(verdicts, "same, no longer pending"), differing.size(),
            differing.isEmpty() ? "" : " | " + String.join(" ", differing));
        return differing.size();
    }

    static int count(Map<String, Integer> verdicts, String verdict) {
        return verdicts.getOrDefault(verdict, 0);
    }

    static String cell(Result result) {
        return result == null ? "-" : result.lines.size() + " l " + result.ms + " ms";
    }

    /** Lines that only one side has; rows may stand in another order. */
    static List<String> difference(Result apache, Result ours, List<Exemption> exemptions) {
        List<String> difference = new ArrayList<>();
        List<String> expected = arguments(exemptions, "expect");
        if (!expected.isEmpty()) {
            for (String pattern : expected) {
                if (ours.lines.stream().noneMatch(line -> Pattern.compile(pattern).matcher(line).find())) {
                    difference.add("  ours lacks " + pattern + "; it has: " + String.join(" / ", ours.lines));
                }
            }
            return difference;
        }
        if (!apache.end.equals(ours.end)) {
            difference.add("  apache " + apache.end + ", ours " + ours.end);
        }
        Map<String, Integer> balance = new LinkedHashMap<>();
        apache.compared(exemptions).forEach(line -> balance.merge(line, 1, Integer::sum));
        ours.compared(exemptions).forEach(line -> balance.merge(line, -1, Integer::sum));
        List<String> apacheOnly = arguments(exemptions, "apache-only");
        List<String> oursOnly = arguments(exemptions, "ours-only");
        balance.forEach((line, n) -> {
            boolean allowed = any(n > 0 ? apacheOnly : oursOnly, line);
            if (n != 0 && !allowed) {
                difference.add((n > 0 ? "  apache " : "  ours   ") + Math.abs(n) + "x  " + line);
            }
        });
        return difference;
    }

    static boolean any(List<String> patterns, String line) {
        return patterns.stream().anyMatch(pattern -> Pattern.compile(pattern).matcher(line).find());
    }

    static List<String> arguments(List<Exemption> exemptions, String rule) {
        return exemptions.stream().filter(e -> e.rule.equals(rule)).map(Exemption::argument).toList();
    }

    static boolean has(List<Exemption> exemptions, String id, String rule) {
        return exemptions.stream().anyMatch(e -> matches(e.id, id) && e.rule.equals(rule));
    }

    /** `name` stands for every run of that command, `name:variant` for one, `*` for all. */
    static boolean matches(String pattern, String id) {
        return pattern.equals("*") || pattern.equals(id) || id.startsWith(pattern + ":");
    }

    // ---- the two files

    static List<Command> commands(Path path, String only) throws IOException {
        List<Command> commands = new ArrayList<>();
        for (String line : Files.readAllLines(path)) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            List<String> words = new ArrayList<>(List.of(line.trim().split("\\s+")));
            String id = words.remove(0);
            String priority = words.remove(0);
            int stop = words.get(0).startsWith("@") ? Integer.parseInt(words.remove(0).substring(1)) : 0;
            if (id.matches(only)) {
                List<String> all = new ArrayList<>(List.of(id.split(":")[0]));
                all.addAll(words.stream().filter(word -> !word.equals("-")).toList());
                commands.add(new Command(id, priority, stop, all));
            }
        }
        return commands;
    }

    static List<Exemption> exemptions(Path path) throws IOException {
        List<Exemption> exemptions = new ArrayList<>();
        for (String line : Files.readAllLines(path)) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            String[] parts = line.split(" \\| ", 4);
            if (parts.length != 4 || parts[3].isBlank()) {
                throw new IOException("an exception needs four columns and a reason: " + line);
            }
            exemptions.add(new Exemption(parts[0].trim(), parts[1].trim(), parts[2].trim(), parts[3].trim()));
        }
        return exemptions;
    }

    /** A stream that writes into the run that its thread belongs to. */
    static final class Switch extends OutputStream {
        private final PrintStream real;

        Switch(PrintStream real) {
            this.real = real;
        }

        @Override
        public void write(int b) {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int from, int length) {
            ByteArrayOutputStream sink = SINK.get();
            if (sink == null) {
                real.write(bytes, from, length);
            } else {
                sink.write(bytes, from, length);
            }
        }
    }
}
