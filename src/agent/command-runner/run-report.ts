import type { JsonObject, JsonValue } from '../../task/json.js';
import type { AgentOutcome, AgentProgress, AgentRun } from '../agent-runner.js';
import { parseRunnerLine, type RunnerMessage } from './runner-messages.js';

/** The stage of every line that is not a message. */
const TEXT_STAGE = 'output';

/** How much conversation one run keeps, so that a program that never stops cannot fill the memory. */
const MAXIMUM_CONVERSATION_CHARACTERS = 16 * 1024 * 1024;

/**
 * A conversation is stored whole each time. One that is longer than this waits until an eighth of it
 * is new: all the saves of a run together then cost no more than a few times its length.
 */
const PROMPT_CONVERSATION_CHARACTERS = 256 * 1024;
const NEW_PART_OF_CONVERSATION = 1 / 8;

type MessageOf<Type extends RunnerMessage['type']> = Extract<RunnerMessage, { type: Type }>;

/** Drops the keys that a message left out. */
function present(values: Record<string, JsonValue | undefined>): JsonObject {
  const entries = Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, value] as const],
  );
  return Object.fromEntries(entries);
}

/** Passes on what a program writes, line by line, and keeps what its outcome is made of. */
export class RunReport {
  readonly #conversation = new Map<string, JsonValue[]>();
  #conversationCharacters = 0;
  #unsavedCharacters = 0;
  #statistics: JsonObject = {};
  #unsaved: AgentProgress = {};
  #result: MessageOf<'result'> | undefined;
  #problemOfResult: string | undefined;

  /** What earlier attempts have saved is gone on with: each save replaces the one before. */
  constructor(private readonly run: AgentRun) {
    const { conversationHistory = {}, executionStatistics = {} } = run.saved;
    for (const [tool, messages] of Object.entries(conversationHistory)) {
      if (Array.isArray(messages)) {
        this.#conversation.set(tool, [...messages]);
        this.#conversationCharacters += JSON.stringify(messages).length;
      }
    }
    this.#statistics = executionStatistics;
  }

  /** Takes lines that were written together. Resolves when there is room for the next ones. */
  async take(lines: Iterable<string>): Promise<void> {
    for (const line of lines) {
      await this.#takeLine(line);
    }
    const isShort = this.#conversationCharacters <= PROMPT_CONVERSATION_CHARACTERS;
    const newPart = this.#unsavedCharacters / this.#conversationCharacters;
    await this.#save(isShort || newPart >= NEW_PART_OF_CONVERSATION);
  }

  /** Saves what has waited for more, once there is no more. */
  async end(): Promise<void> {
    await this.#save(true);
  }

  async #save(withConversation: boolean): Promise<void> {
    if (withConversation && this.#unsavedCharacters > 0) {
      this.#unsavedCharacters = 0;
      this.#unsaved.conversationHistory = this.#copyConversation();
    }
    if (Object.keys(this.#unsaved).length > 0) {
      const progress = this.#unsaved;
      this.#unsaved = {};
      await this.run.saveProgress(progress);
    }
  }

  /** @throws {Error} when the program gave a result that could not be read, and no other */
  outcome(): AgentOutcome {
    if (this.#result === undefined && this.#problemOfResult !== undefined) {
      throw new Error(`The agent's result does not fit: ${this.#problemOfResult}`);
    }
    return { result: this.#result?.result, finalState: this.#result?.finalState };
  }

  async #takeLine(line: string): Promise<void> {
    const parsed = parseRunnerLine(line);
    switch (parsed.kind) {
      case 'message':
        return this.#takeMessage(parsed.message, line.length);
      case 'text':
        return parsed.text.trim() === '' ? undefined : this.#reportText(parsed.text);
      case 'misfit':
        if (parsed.type === 'result') {
          this.#problemOfResult = parsed.problem;
        }
        return this.#reportText(
          `The agent wrote a "${parsed.type}" line that does not fit: ${parsed.problem}`,
        );
    }
  }

  async #takeMessage(message: RunnerMessage, characters: number): Promise<void> {
    switch (message.type) {
      case 'stage':
        return this.run.reportStage(message.stage, message.message);
      case 'statistics': {
        const { type: _type, ...statistics } = message;
        this.#statistics = { ...this.#statistics, ...present(statistics) };
        this.#unsaved.executionStatistics = this.#statistics;
        return undefined;
      }
      case 'conversation':
        return this.#takeConversation(message, characters);
      case 'sandbox': {
        const { type: _type, ...sandbox } = message;
        this.#unsaved.sandboxInfo = present(sandbox);
        return undefined;
      }
      case 'result':
        this.#result = message;
        return undefined;
    }
  }

  async #takeConversation(message: MessageOf<'conversation'>, characters: number): Promise<void> {
    const wasFull = this.#conversationCharacters > MAXIMUM_CONVERSATION_CHARACTERS;
    this.#conversationCharacters += characters;
    if (this.#conversationCharacters <= MAXIMUM_CONVERSATION_CHARACTERS) {
      const messages = this.#conversation.get(message.tool) ?? [];
      this.#conversation.set(message.tool, messages);
      for (const added of message.messages) {
        messages.push(added);
      }
      this.#unsavedCharacters += characters;
    } else if (!wasFull) {
      await this.#reportText(
        `The conversation is longer than ${MAXIMUM_CONVERSATION_CHARACTERS} characters; the rest of it is not stored`,
      );
    }
  }

  #copyConversation(): JsonObject {
    return Object.fromEntries(
      Array.from(this.#conversation, ([tool, messages]) => [tool, [...messages]]),
    );
  }

  async #reportText(text: string): Promise<void> {
    await this.run.reportStage(TEXT_STAGE, text);
  }
}
