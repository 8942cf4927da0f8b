//! What hostile requests and answers cost, natively, at sizes that double. Twice the size should cost
//! twice the time at most. The last column is the cost of each byte at the largest size, as a multiple of
//! that at the smallest; above the limit, the benchmark fails.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here is the benchmark itself"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints its results"
)]

mod answers;
mod engine;
mod requests;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use self::engine::Caller;

/// Bytes. The largest is below all limits of the policy.
const SIZES: [usize; 4] = [16 * 1024, 32 * 1024, 64 * 1024, 128 * 1024];
/// The shortest of so many runs is taken, or of fewer if they take longer than this.
const RUNS: usize = 9;
const PATIENCE: Duration = Duration::from_millis(500);
/// Linear work costs 1.0, and quadratic work 8.0. An allocator that takes large blocks from the system costs
/// up to 2.5.
const LIMIT: f64 = 3.0;
/// What takes less time than this at the largest size is not judged: it is refused at once.
const NEGLIGIBLE: Duration = Duration::from_micros(200);

/// An input that grows.
struct Sample {
    name: &'static str,
    /// About this many bytes.
    make: fn(usize) -> Vec<u8>,
}

fn main() -> ExitCode {
    println!("| input | 16 KiB | 32 KiB | 64 KiB | 128 KiB | per byte, last to first |");
    println!("|---|---:|---:|---:|---:|---:|");
    let mut caller = Caller::new();
    let mut all_linear = true;
    for sample in requests::SAMPLES {
        let times = measure(sample, |body| caller.request(body));
        all_linear &= report("request", sample.name, &times);
    }
    for sample in answers::SAMPLES {
        let times = measure(sample, |body| caller.answer(body));
        all_linear &= report("answer", sample.name, &times);
    }
    for sample in answers::LISTS {
        let times = measure(sample, |body| caller.list(body));
        all_linear &= report("list", sample.name, &times);
    }
    for sample in answers::STREAMS {
        let times = measure(sample, |body| caller.stream(body));
        all_linear &= report("event stream", sample.name, &times);
    }
    match all_linear {
        true => ExitCode::SUCCESS,
        false => {
            eprintln!("an input costs more than linear time");
            ExitCode::FAILURE
        }
    }
}

/// The size in bytes and the shortest time of each size.
fn measure(sample: &Sample, mut run: impl FnMut(&[u8]) -> Duration) -> Vec<(usize, Duration)> {
    SIZES
        .iter()
        .map(|&size| {
            let input = (sample.make)(size);
            let started = Instant::now();
            let mut shortest = run(black_box(&input));
            for _ in 1..RUNS {
                if started.elapsed() > PATIENCE {
                    break;
                }
                shortest = shortest.min(run(black_box(&input)));
            }
            (input.len(), shortest)
        })
        .collect()
}

/// Prints a row. Whether the cost is linear.
fn report(kind: &str, name: &str, times: &[(usize, Duration)]) -> bool {
    let per_byte = |(length, time): &(usize, Duration)| {
        time.as_secs_f64() / f64::from(u32::try_from(*length).unwrap())
    };
    let growth = per_byte(times.last().unwrap()) / per_byte(times.first().unwrap());
    let is_linear = growth <= LIMIT || times.last().unwrap().1 < NEGLIGIBLE;
    let cells: Vec<String> = times
        .iter()
        .map(|(_, time)| format!("{:.2} ms", time.as_secs_f64() * 1e3))
        .collect();
    let mark = if is_linear { "" } else { " (!)" };
    println!(
        "| {kind}: {name} | {} | {growth:.2}{mark} |",
        cells.join(" | ")
    );
    is_linear
}

/// The processor time that a function takes. Other processes do not count.
fn time<T>(run: impl FnOnce() -> T) -> Duration {
    let started = processor_time();
    black_box(run());
    processor_time().saturating_sub(started)
}

fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}
