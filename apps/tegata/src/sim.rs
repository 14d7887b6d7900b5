//! The simulated town on the command line.
#![allow(clippy::float_arithmetic)] // seeds a minute, never money

use crate::flags::SimFlags;
use crate::measure;
use crate::screen::{Answer, Failure, Screen, fail, fail_with};
use serde_json::{Value, json};
use std::ops::Range;
use std::time::Instant;
use tegata_core::step::{Break, Broken};
use tegata_sim::{Cell, Conversation, Options};

/// Runs it.
pub fn run(screen: Screen, flags: &SimFlags) -> Result<Answer, Failure> {
    let broken = match flags.broken.as_deref() {
        None => Broken::NONE,
        Some("list") => {
            let names: Vec<&str> = Break::ALL.iter().map(|rule| rule.name()).collect();
            return Ok(Answer::new(names.join("\n"), json!({ "rules": names })));
        }
        Some(name) => match Break::ALL.iter().find(|rule| rule.name().eq_ignore_ascii_case(name)) {
            Some(rule) => Broken::only(*rule),
            None => return fail(format!("there is no rule '{name}' to break; `--break list` lists them")),
        },
    };
    let options = Options { broken, ..Options::default() };
    if let Some(seed) = flags.trace {
        let story = tegata_sim::trace(seed, &options);
        return Ok(Answer::new(story.clone(), json!({ "seed": seed, "story": story })));
    }
    if flags.matrix {
        return matrix(screen, flags.only.as_deref());
    }
    let seeds = range(&flags.seeds)?;
    let count = seeds.end.saturating_sub(seeds.start);
    let bar = screen.progress(count, "seeds");
    let started = Instant::now();
    let summary = tegata_sim::run_many(seeds, &options, 0, |done| bar.set_position(done));
    bar.finish_and_clear();
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    let pace = measure::rounded(summary.seeds as f64 / minutes, 0);
    let failures: Vec<_> = summary.failures.iter().map(|(seed, what)| json!({ "seed": seed, "what": what })).collect();
    let json = json!({
        "seeds": summary.seeds,
        "failures": summary.failures.len(),
        "seeds_per_minute": pace,
        "failed": failures,
        "payments": summary.payments,
        "measured_on": measure::machine(),
    });
    if summary.failures.is_empty() {
        return Ok(Answer::new(format!("{} seeds, all clean, {pace} a minute.", summary.seeds), json));
    }
    let shown: Vec<String> =
        summary.failures.iter().take(10).map(|(seed, what)| format!("seed {seed}: {what}")).collect();
    let text = format!(
        "{} of {} seeds failed; `tegata sim --trace SEED` tells the story:\n{}",
        summary.failures.len(),
        summary.seeds,
        shown.join("\n")
    );
    fail_with(text, json)
}

fn matrix(screen: Screen, only: Option<&str>) -> Result<Answer, Failure> {
    let named = |conversation: &Conversation| only.is_none_or(|only| conversation.name().contains(only));
    let of: Vec<Conversation> = Conversation::ALL.iter().copied().filter(named).collect();
    if of.is_empty() {
        let names: Vec<&str> = Conversation::ALL.iter().map(|it| it.name()).collect();
        return fail(format!(
            "no conversation has '{}' in its name; they are: {}",
            only.unwrap_or(""),
            names.join("; ")
        ));
    }
    let bar = screen.progress(0, "cells");
    let cells = tegata_sim::matrix(&of, Broken::NONE, |done, count| {
        bar.set_length(count);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let wrong: Vec<&Cell> = cells.iter().filter(|cell| !cell.wrong.is_empty()).collect();
    let table = tegata_sim::table(&cells);
    let json = json!({
        "cells": cells.len(),
        "failures": wrong.len(),
        "failed": wrong.iter().map(|cell| told(cell)).collect::<Vec<_>>(),
    });
    if let Some(first) = wrong.first() {
        let story = [first.wrong.join("\n"), first.story.join("\n")].join("\n\n");
        let text = format!(
            "{table}\n{} of {} cells failed (`--json` tells each one's story); {}, {}, {}:\n{story}",
            wrong.len(),
            cells.len(),
            first.conversation.name(),
            first.step,
            first.fault
        );
        return fail_with(text, json);
    }
    Ok(Answer::new(format!("{table}\n{} cells, all clean.", cells.len()), json))
}

fn told(cell: &Cell) -> Value {
    json!({
        "conversation": cell.conversation.name(),
        "step": cell.step,
        "fault": cell.fault,
        "wrong": cell.wrong,
        "story": cell.story,
    })
}

fn range(text: &str) -> Result<Range<u64>, Failure> {
    let parsed = text.split_once("..").and_then(|(from, until)| {
        let last = until.strip_prefix('=');
        let until: u64 = last.unwrap_or(until).parse().ok()?;
        Some(from.parse().ok()?..until.checked_add(u64::from(last.is_some()))?)
    });
    match parsed {
        Some(range) if range.start < range.end => Ok(range),
        _ => fail(format!("'{text}' is no range of seeds; write it as 1..1001 or 1..=1000")),
    }
}
