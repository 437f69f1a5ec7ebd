//! What `smaps` says of the memory of a process: every mapping becomes bytes of one part, or of two.
//!
//! The kernel names few of them. The rest is told by how those who ask for memory ask for it:
//!
//! - Whoever wants an address of its own choice takes it from the lower half of the address space: the heaps of V8, the
//!   JVM and Go, and allocators such as mimalloc and tcmalloc. The kernel itself places everything in the upper half, but
//!   for the program and what follows it.
//! - glibc reserves an arena of a thread as 64 MiB at a multiple of 64 MiB, without a claim on memory (`nr`).
//! - A stack of a thread lies right above a guard that nobody may touch, and is at most 8 MiB large.
//! - What a library or program has written of its own data is private in its mapping; its data that begins as zeroes
//!   follows right behind. A leak into memory that it has asked `malloc` for is not there, but in the heap.
//!
//! What is told so is said with less confidence. Swapped-out memory counts as resident memory does. Memory in huge pages
//! that were set aside is in neither.

use std::collections::HashMap;

/// Small blocks of `malloc`: the program's heap and the arenas of its threads.
pub(super) const HEAP: &str = "heap";
/// The heap of a runtime or an allocator that chooses its addresses itself.
pub(super) const RUNTIME_HEAP: &str = "runtime_heap";
/// Other private memory: large blocks of `malloc`, buffers, arenas of runtimes that the kernel places.
pub(super) const ANONYMOUS: &str = "anonymous";
/// Stacks.
pub(super) const STACKS: &str = "stacks";
/// Code that was made while running.
pub(super) const JIT: &str = "jit";
/// Memory that can be shared with other processes.
pub(super) const SHARED_MEMORY: &str = "shared_memory";
/// Pages of files, code of libraries included: what the kernel can drop.
pub(super) const MAPPED_FILES: &str = "mapped_files";
/// What is in no other part.
pub(super) const UNKNOWN: &str = "unknown";
/// Modules that are not shown by their names.
pub(super) const OTHER_MODULES: &str = "modules_other";
/// What the name of a module's part begins with.
const MODULE: &str = "module:";

/// The parts that are always said, with how sure it is that their bytes are what their name says: sure where the kernel
/// says so, less where it is told by shape.
const PARTS: [(&str, f64); 7] = [
    (HEAP, 0.95),
    (RUNTIME_HEAP, 0.85),
    (ANONYMOUS, 0.7),
    (STACKS, 0.9),
    (JIT, 0.95),
    (SHARED_MEMORY, 1.0),
    (MAPPED_FILES, 1.0),
];
/// How sure it is of a module: its zeroed data may have grown together with a foreign mapping.
const MODULE_CONFIDENCE: f64 = 0.9;

/// glibc's arenas begin at multiples of this (twice its largest threshold for large blocks).
const ARENA_BYTES: u64 = 64 << 20;
/// The usual stack of a thread, and room for its guards.
const STACK_BYTES_MAX: u64 = (8 << 20) + GUARD_BYTES_MAX;
/// glibc guards with one page, the JVM with four to sixteen.
const GUARD_BYTES_MAX: u64 = 64 << 10;
/// Zeroed data of a module is hardly ever larger (that of V8 has 176 KiB, that of the JVM 360); more is a foreign mapping that
/// the kernel joined to it, such as Python's arenas of a mebibyte.
const ZEROED_BYTES_MAX: u64 = 512 << 10;
/// A process maps some hundred files; of a hostile one no more are told apart.
const MODULES_MAX: usize = 4_096;
/// Where the stack's address is not told: the half of the 47 bits that programs have on most machines.
const USUAL_HALF: u64 = 1 << 46;

/// One part's name, bytes and confidence.
pub(super) type Sized = (String, u64, f64);

/// Adds up mappings, line by line.
#[derive(Debug)]
pub(super) struct Smaps {
    /// Where the upper half of the address space begins.
    half: u64,
    mapping: Mapping,
    has_mapping: bool,
    before: Before,
    sums: [u64; PARTS.len()],
    unknown: u64,
    modules: HashMap<String, u64>,
    /// Bytes of modules beyond [`MODULES_MAX`].
    other_modules: u64,
}

/// The mapping whose lines are being read.
#[derive(Debug, Default)]
struct Mapping {
    start: u64,
    end: u64,
    /// As `rw-p`: read, write, execute, private or shared.
    permissions: [u8; 4],
    name: String,
    rss: u64,
    anonymous: u64,
    swap: u64,
    /// Reserved without a claim on memory.
    nr: bool,
}

/// What the mapping before tells of the one that follows right behind it.
#[derive(Debug, Default)]
struct Before {
    end: u64,
    is_short_guard: bool,
    /// The module whose data it is.
    module: Option<String>,
}

impl Smaps {
    /// A sum over the mappings of a process whose stack begins at `stack_start`; 0 where that is unknown.
    pub(super) fn new(stack_start: u64) -> Self {
        Self {
            half: if stack_start == 0 { USUAL_HALF } else { stack_start / 2 },
            mapping: Mapping::default(),
            has_mapping: false,
            before: Before::default(),
            sums: [0; PARTS.len()],
            unknown: 0,
            modules: HashMap::new(),
            other_modules: 0,
        }
    }

    /// Takes in the next line. What makes no sense is passed over.
    pub(super) fn line(&mut self, line: &[u8]) {
        match line.first() {
            Some(b'0'..=b'9' | b'a'..=b'f') => {
                self.settle();
                self.has_mapping = self.mapping.begin(line);
            }
            Some(_) => self.mapping.note(line),
            None => {}
        }
    }

    /// The parts, the `most_modules` largest modules by their names. All parts together are `total_bytes`, as far as the
    /// mappings are not more: the rest is unknown.
    pub(super) fn finish(mut self, most_modules: usize, total_bytes: u64) -> Vec<Sized> {
        self.settle();
        let mut parts: Vec<Sized> = PARTS
            .iter()
            .zip(self.sums)
            .map(|((name, confidence), bytes)| (String::from(*name), bytes, *confidence))
            .collect();
        let mut modules: Vec<(String, u64)> =
            self.modules.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
        modules.sort_by(|(name, bytes), (other, others)| others.cmp(bytes).then(name.cmp(other)));
        let others: u64 = modules.iter().skip(most_modules).map(|(_, bytes)| bytes).sum();
        modules.truncate(most_modules);
        parts.push((OTHER_MODULES.into(), others + self.other_modules, MODULE_CONFIDENCE));
        parts.extend(
            modules.into_iter().map(|(name, bytes)| (format!("{MODULE}{name}"), bytes, MODULE_CONFIDENCE)),
        );
        let known: u64 = parts.iter().map(|(_, bytes, _)| bytes).sum();
        parts.push((UNKNOWN.into(), total_bytes.saturating_sub(known).max(self.unknown), 0.0));
        parts
    }

    /// Adds the mapping whose lines are over.
    fn settle(&mut self) {
        if !std::mem::take(&mut self.has_mapping) {
            return;
        }
        let mapping = std::mem::take(&mut self.mapping);
        let is_adjacent = self.before.end == mapping.start;
        let private = mapping.anonymous + mapping.swap;
        if mapping.name.starts_with('/') && !mapping.is_shared() && !is_shared_memory(&mapping.name) {
            self.add(MAPPED_FILES, mapping.rss.saturating_sub(mapping.anonymous));
            self.add_module(module_name(&mapping.name), private);
        } else if let Some(module) =
            self.before.module.take().filter(|_| is_adjacent && mapping.is_zeroed_data())
        {
            self.add_module(&module, mapping.rss + mapping.swap);
        } else {
            // What is swapped out of shared memory belongs to nobody: it is not in the swap of the process either.
            let swap = if mapping.is_shared() || is_shared_memory(&mapping.name) { 0 } else { mapping.swap };
            let follows_guard = is_adjacent && self.before.is_short_guard;
            match mapping.part(self.half, follows_guard) {
                Some(part) => self.add(part, mapping.rss + swap),
                None => self.unknown += mapping.rss + swap,
            }
        }
        self.before = mapping.as_before();
        self.mapping = mapping;
    }

    fn add(&mut self, part: &str, bytes: u64) {
        let sums = PARTS.iter().zip(&mut self.sums);
        if let Some((_, sum)) = sums.into_iter().find(|((name, _), _)| *name == part) {
            *sum += bytes;
        }
    }

    fn add_module(&mut self, name: &str, bytes: u64) {
        if let Some(sum) = self.modules.get_mut(name) {
            *sum += bytes;
        } else if self.modules.len() < MODULES_MAX {
            self.modules.insert(name.into(), bytes);
        } else {
            self.other_modules += bytes;
        }
    }
}

impl Mapping {
    /// Reads the first line of a mapping: `START-END PERMS OFFSET DEVICE INODE NAME`. Says whether it is one.
    fn begin(&mut self, line: &[u8]) -> bool {
        let name = std::mem::take(&mut self.name);
        *self = Self { name, ..Self::default() };
        self.name.clear();
        let Some((range, rest)) = field(line) else { return false };
        let Some((permissions, rest)) = field(rest) else { return false };
        let (Some(start), Some(end)) = bounds(range) else { return false };
        (self.start, self.end) = (start, end);
        self.permissions = permissions.try_into().unwrap_or_default();
        let behind = field(rest).and_then(|(_, rest)| field(rest)).and_then(|(_, rest)| field(rest));
        if let Some((_inode, name)) = behind {
            self.name.push_str(&String::from_utf8_lossy(name.trim_ascii_start()));
        }
        true
    }

    /// Reads one of the lines below.
    fn note(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (key, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default();
        match key {
            b"Rss" => self.rss = kibibytes(value),
            b"Anonymous" => self.anonymous = kibibytes(value),
            b"Swap" => self.swap = kibibytes(value),
            b"VmFlags" => self.nr = value.split(|byte| *byte == b' ').any(|flag| flag == b"nr"),
            _ => {}
        }
    }

    fn is_writable(&self) -> bool {
        self.permissions[1] == b'w'
    }

    fn is_executable(&self) -> bool {
        self.permissions[2] == b'x'
    }

    fn is_shared(&self) -> bool {
        self.permissions[3] == b's'
    }

    /// Whether nobody may touch it.
    fn is_guard(&self) -> bool {
        self.permissions.starts_with(b"---")
    }

    /// Whether it can be the zeroed data of a module right before it.
    fn is_zeroed_data(&self) -> bool {
        let is_nameless = self.name.is_empty() && !self.is_shared();
        is_nameless && !self.is_executable() && !self.is_guard() && self.end - self.start <= ZEROED_BYTES_MAX
    }

    /// The part that a mapping without a file belongs to, or one of a shared file; none where that cannot be told.
    fn part(&self, half: u64, follows_guard: bool) -> Option<&'static str> {
        let name = self.name.as_str();
        if let Some(given) = name.strip_prefix("[anon:").and_then(of_given_name) {
            return Some(given);
        }
        let part = match name {
            "[heap]" => HEAP,
            _ if name.starts_with("[stack") => STACKS,
            _ if name.starts_with("[anon_shmem:") => SHARED_MEMORY,
            // The JVM's ZGC maps its heap several times over.
            _ if name.contains("java_heap") => RUNTIME_HEAP,
            _ if is_shared_memory(name) => SHARED_MEMORY,
            _ if name.starts_with('/') => MAPPED_FILES,
            "[vdso]" | "[vvar]" | "[vvar_vclock]" | "[vsyscall]" => MAPPED_FILES,
            _ if !name.is_empty() && !name.starts_with("[anon:") => return None,
            _ if self.is_shared() => SHARED_MEMORY,
            _ if self.is_executable() => JIT,
            _ if self.end <= half => RUNTIME_HEAP,
            _ if follows_guard && self.end - self.start <= STACK_BYTES_MAX => STACKS,
            _ if self.nr && self.start.is_multiple_of(ARENA_BYTES) => HEAP,
            _ => ANONYMOUS,
        };
        Some(part)
    }

    fn as_before(&self) -> Before {
        let is_data = self.name.starts_with('/') && !self.is_shared() && self.is_writable();
        Before {
            end: self.end,
            is_short_guard: self.is_guard() && self.end - self.start <= GUARD_BYTES_MAX,
            module: is_data.then(|| module_name(&self.name).to_owned()),
        }
    }
}

/// What a program that names its anonymous mappings (`prctl`, Linux 5.17) says of them: glibc with its `decorate_maps`,
/// Go, Android.
fn of_given_name(name: &str) -> Option<&'static str> {
    let says = |word| name.contains(word);
    if says("malloc") || says("scudo") {
        return Some(HEAP);
    }
    if says("stack") {
        return Some(STACKS);
    }
    (says("heap") || says("v8")).then_some(RUNTIME_HEAP)
}

/// Whether a file is none on a disk, but memory by a name.
fn is_shared_memory(name: &str) -> bool {
    ["/memfd:", "/dev/shm/", "/SYSV", "/dev/zero"].iter().any(|prefix| name.starts_with(prefix))
}

/// The base name of a module, without what the kernel says of a deleted file, and no longer than a label should be.
fn module_name(path: &str) -> &str {
    const MOST_BYTES: usize = 64;
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    let name = path.rsplit('/').next().unwrap_or(path);
    name.get(..name.floor_char_boundary(MOST_BYTES)).unwrap_or(name)
}

/// The first field of a line and what follows the blank behind it.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (field, rest) = line.split_at(end);
    (!field.is_empty()).then(|| (field, rest.get(1..).unwrap_or_default()))
}

fn bounds(range: &[u8]) -> (Option<u64>, Option<u64>) {
    let text = std::str::from_utf8(range).unwrap_or_default();
    let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
    text.split_once('-').map_or((None, None), |(start, end)| {
        let (start, end) = (hex(start), hex(end));
        if start <= end { (start, end) } else { (None, None) }
    })
}

/// A value such as `   123 kB`, in bytes.
fn kibibytes(value: &[u8]) -> u64 {
    let digits = value.iter().copied().filter(u8::is_ascii_digit);
    digits
        .fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
        .saturating_mul(1024)
}
