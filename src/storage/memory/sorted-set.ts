/**
 * How many items one block holds before it is split. Moving so many pointers costs less than a
 * microsecond, and a million items need only some thousand blocks.
 */
const MAX_BLOCK_LENGTH = 512;

interface Place {
  readonly block: number;
  readonly index: number;
}

/**
 * Items in order, held in blocks of at most {@link MAX_BLOCK_LENGTH}. Adding, deleting and finding a
 * place take two binary searches and the move of one block's pointers, so none of them scans.
 *
 * @typeParam Key what the order looks at; no two items have equal keys
 */
export class SortedSet<Key, Item extends Key> {
  readonly #blocks: Item[][] = [];
  #size = 0;

  constructor(private readonly compare: (left: Key, right: Key) => number) {}

  get size(): number {
    return this.#size;
  }

  add(item: Item): void {
    const place = this.#placeOf(item);
    const block = this.#blocks[place.block];
    this.#size += 1;
    if (block === undefined) {
      this.#blocks.push([item]);
      return;
    }
    block.splice(place.index, 0, item);
    if (block.length > MAX_BLOCK_LENGTH) {
      this.#blocks.splice(place.block + 1, 0, block.splice(MAX_BLOCK_LENGTH / 2));
    }
  }

  delete(item: Item): void {
    const place = this.#placeOf(item);
    const block = this.#blocks[place.block];
    if (block?.[place.index] !== item) {
      return;
    }
    this.#size -= 1;
    block.splice(place.index, 1);
    if (block.length === 0) {
      this.#blocks.splice(place.block, 1);
    }
  }

  /** From the first item on. The set must not change meanwhile. */
  *ascending(): Generator<Item> {
    for (const block of this.#blocks) {
      yield* block;
    }
  }

  /**
   * From the last item below `before` on, or from the last of all, downwards. The set must not
   * change meanwhile.
   *
   * @param skip how many items to leave out first; whole blocks are skipped at once
   */
  *descending(before: Key | null, skip: number): Generator<Item> {
    const start = before === null ? null : this.#placeOf(before);
    let toSkip = skip;
    for (let at = start?.block ?? this.#blocks.length - 1; at >= 0; at -= 1) {
      const block = this.#blocks[at] ?? [];
      const end = at === start?.block ? start.index : block.length;
      for (let index = end - 1 - toSkip; index >= 0; index -= 1) {
        const item = block[index];
        if (item !== undefined) {
          yield item;
        }
      }
      toSkip = Math.max(0, toSkip - end);
    }
  }

  /** Where the first item that is not below the key stands, or would stand. */
  #placeOf(key: Key): Place {
    const after = lowerBound(this.#blocks, (block) => {
      const [first] = block;
      return first !== undefined && this.compare(first, key) <= 0;
    });
    const block = Math.max(0, after - 1);
    const index = lowerBound(
      this.#blocks[block] ?? [],
      (candidate) => this.compare(candidate, key) < 0,
    );
    return { block, index };
  }
}

/** The index of the first entry for which `isBelow` no longer holds. */
function lowerBound<T>(entries: readonly T[], isBelow: (entry: T) => boolean): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = entries[middle];
    if (entry !== undefined && isBelow(entry)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
