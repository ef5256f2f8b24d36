import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SortedSet } from '../../src/storage/memory/sorted-set.js';

interface Entry {
  readonly key: number;
}

/** A set that knows how often its order was asked for. */
function createCountedSet(): { set: SortedSet<Entry, Entry>; comparisons: () => number } {
  let count = 0;
  const set = new SortedSet<Entry, Entry>((left, right) => {
    count += 1;
    return left.key - right.key;
  });
  return { set, comparisons: () => count };
}

function keysOf(entries: Iterable<Entry>): number[] {
  return [...entries].map(({ key }) => key);
}

function comparisonsOf(counted: { comparisons: () => number }, work: () => unknown): number {
  const before = counted.comparisons();
  work();
  return counted.comparisons() - before;
}

function fill(set: SortedSet<Entry, Entry>, size: number): Entry[] {
  const entries = Array.from({ length: size }, (_, key) => ({ key }));
  entries.forEach((entry) => set.add(entry));
  return entries;
}

function firstTenBelow(set: SortedSet<Entry, Entry>, key: number): number[] {
  const found: number[] = [];
  for (const entry of set.descending({ key }, 0)) {
    if (found.push(entry.key) === 10) {
      break;
    }
  }
  return found;
}

describe('SortedSet', () => {
  it('answers what a sorted array answers, whatever is added and deleted', () => {
    const key = fc.integer({ min: 0, max: 3000 });
    fc.assert(
      fc.property(
        fc.uniqueArray(key, { maxLength: 3000, size: 'max' }),
        fc.array(key, { maxLength: 1000, size: 'max' }),
        key,
        key,
        fc.nat(2000),
        (added, deletedSingly, deletedFrom, before, skip) => {
          const { set } = createCountedSet();
          const entries = new Map(added.map((number) => [number, { key: number }]));
          entries.forEach((entry) => set.add(entry));
          const deletedTogether = [...entries.keys()].filter(
            (number) => number >= deletedFrom && number < deletedFrom + 1000,
          );
          for (const number of [...deletedSingly, ...deletedTogether]) {
            set.delete(entries.get(number) ?? { key: number });
            entries.delete(number);
          }
          const sorted = [...entries.keys()].sort((left, right) => left - right);
          const reversed = sorted.toReversed();
          expect(set.size).toBe(sorted.length);
          expect(keysOf(set.ascending())).toEqual(sorted);
          expect(keysOf(set.descending(null, skip))).toEqual(reversed.slice(skip));
          expect(keysOf(set.descending({ key: before }, skip))).toEqual(
            reversed.filter((number) => number < before).slice(skip),
          );
        },
      ),
      // The seed alone repeats a failure; shrinking thousands of items would take minutes.
      { numRuns: 40, endOnFailure: true },
    );
  });

  it('does not delete another item that has the same key', () => {
    const { set } = createCountedSet();
    fill(set, 3);
    set.delete({ key: 1 });
    expect(keysOf(set.ascending())).toEqual([0, 1, 2]);
  });

  it('finds a place among 100,000 items with hardly more comparisons than among 1,000', () => {
    const counts = [1_000, 100_000].map((size) => {
      const counted = createCountedSet();
      const entries = fill(counted.set, size);
      const [middle] = entries.slice(size / 2);
      return {
        list: comparisonsOf(counted, () => firstTenBelow(counted.set, size / 2)),
        delete: comparisonsOf(counted, () => middle && counted.set.delete(middle)),
        add: comparisonsOf(counted, () => counted.set.add({ key: size / 2 + 0.5 })),
      };
    });
    const [small, large] = counts;
    for (const operation of ['list', 'delete', 'add'] as const) {
      expect(large?.[operation]).toBeLessThanOrEqual((small?.[operation] ?? 0) * 2);
    }
  });
});
