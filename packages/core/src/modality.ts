/**
 * What a modality package gives to tools that know no modality, the command line above all: its methods, how its data is
 * opened and looked at, and how its models come from and go to files of other libraries.
 */
import type { z } from "zod";
import type { RawTensor } from "./io/raw-tensor.js";
import type { Method, Modality, Teachers } from "./method.js";
import type { Model } from "./model.js";
import type { Random } from "./random.js";
import type { Dataset } from "./train/dataset.js";
import type { TrainSettingsInput } from "./train/options.js";

/** Keys of a config or of options, not checked yet. */
export type Keys = Readonly<Record<string, unknown>>;

/** A path or, where a method takes several readers, whatever its package makes of the text; or files by name. */
export type Source = string | readonly string[];

export interface OpenOptions {
  /** Its samples may be of a form of their own: several views of a picture. */
  readonly method: Method;
  /** Complete config of the method: samples come in the form it takes. */
  readonly config: object;
  /** Options of the reader, in the form of `dataSchema`. */
  readonly data: Keys;
  /** Class names in the order of their index, as the training data has them. */
  readonly classes?: readonly string[];
}

export interface ConfigureRequest {
  readonly method: Method;
  readonly source: Source;
  readonly data: Keys;
  /** Keys of the method's config that are settled, the preset's among them. */
  readonly given: Keys;
  /** What the method learns from: its samples and features have to fit them. */
  readonly teachers?: Teachers;
  /** Stop with the first sample that cannot be read. */
  readonly strict?: boolean;
}

export interface Configured {
  /** Keys that the data decide and that were not given. */
  readonly config: Keys;
  /** What was decided and why, a line each. */
  readonly notes: readonly string[];
}

/** A checkpoint of another library, as its files hold it. */
export interface ForeignModel {
  readonly parameters: ReadonlyMap<string, RawTensor>;
  /** JSON files that lay beside the parameters, by name. */
  readonly json?: Readonly<Record<string, unknown>>;
}

export interface ImportedForeign {
  readonly method: Method;
  readonly config: object;
  /** By the method's own paths. */
  readonly parameters: ReadonlyMap<string, RawTensor>;
  /** Beginnings of paths that the files may lack; such parameters are new. */
  readonly optional: readonly string[];
  readonly classes?: readonly string[];
}

/** `official`: the state dict of the method's reference code; `huggingface`: a directory of transformers. */
export type ForeignFormat = "official" | "huggingface";

// biome-ignore lint/suspicious/noExplicitAny: samples and models of a package unknown here
type Any = any;

export interface ModalityPackage {
  readonly name: Modality;
  /** What its samples are called, in plural: images. */
  readonly samples: string;
  readonly methods: readonly Method[];
  /** What is pretrained when no method is named. */
  readonly defaultMethod: string;
  /** Options of its readers; the `data` section of a config file. */
  readonly dataSchema: z.ZodType<object>;
  /** Looks at the data and settles what it decides: sizes, channels, mean and deviation. */
  configure(request: ConfigureRequest): Promise<Configured>;
  /** The samples at a path, in the form the config takes. */
  open(source: Source, options: OpenOptions): Dataset<Any>;
  /** Settings of pretraining that suit the data better than the usual ones; what the user gives goes over them. */
  training?(dataset: Dataset<Any>): Promise<TrainSettingsInput>;
  /** Samples as rows without an encoder, the baseline of every evaluation. */
  readonly raw: {
    /** What a table calls them: raw pixels. */
    readonly name: string;
    /** [n * width] */
    features(samples: readonly Any[]): Float32Array;
  };
  /** Writes what `reconstruct` returned as `PATH.EXTENSION`, one file or several, and returns their names. */
  writeReconstruction?(reconstruction: Any, path: string): Promise<string[]>;
  /** The method of the classifier that begins with the model's encoder; the only one there is where absent. */
  classifierFor?(model: Model<Any, Any>): Method;
  /** A classifier that begins with the model's encoder; new parameters where the model has none. */
  createClassifier?(model: Model<Any, Any>, settings: Keys, random: Random): Model<Any, Any>;
  /** @throws UnmaskError where the files are of no known layout */
  importModel?(files: ForeignModel, hints: Keys): ImportedForeign;
  /** @throws UnmaskError where the format has no place for the model */
  exportModel?(
    model: ForeignModel & {
      readonly method: string;
      readonly config: object;
      readonly classes?: readonly string[];
    },
    format: ForeignFormat,
  ): ForeignModel;
}
