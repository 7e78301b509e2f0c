/** Folders of videos, and single videos, as data sets of clips. */
import { join } from "node:path";
import { BadSampleError, createDataset, type Dataset, expect, FormatError, type Random } from "@unmask/core";
import { defaultThreads, folderClasses } from "@unmask/core/node";
import type { CropPlan, Size } from "../augment/crop.js";
import { decodeThreads } from "../decode-threads.js";
import type { GuidedSample, VideoSample } from "../sample.js";
import type { ClipRequest, Timing } from "./clip.js";
import { decodeClip } from "./decode.js";
import { readGuide } from "./guide.js";
import { type ListedVideo, listVideos } from "./list-videos.js";
import type { ClipView } from "./view-scores.js";

export interface ClipOptions {
  /** Frames of a clip. Default 16. */
  readonly frames?: number;
  /** Side of square clips, or [height, width]. Default 224. */
  readonly size?: number | Size;
  /** 3 colour, the default, or 1 gray. */
  readonly channels?: number;
  /** Frames of the video from one frame of the clip to the next, less in videos too short for it. Default 4. */
  readonly stride?: number;
  /** Frames of the clip a second, in place of a stride: the same speed for videos of different rates. */
  readonly rate?: number;
  /** Videos with fewer frames than a clip: cannot be read (the default), or begin again. */
  readonly short?: "skip" | "loop";
  /** Samples that each video gives: of as many equal parts, one clip each. Default 1. */
  readonly clipsPerVideo?: number;
  /**
   * The training view starts anywhere; its frames are the evaluation view's, a crop of one of several sizes at one of
   * several places (the default, VideoMAE's), or such a crop mirrored half of the time: the same for all its frames.
   */
  readonly augment?: "none" | "crop" | "crop-flip";
  /** Clips of the evaluation view, spread over the video. Default 1, from its middle. */
  readonly testClips?: number;
  /** Parts of the frames in the evaluation view, spread along the longer side. Default 1, the centre. */
  readonly testCrops?: number;
  /** Threads that decode; 0 decodes in the thread that asks. Default one fewer than processors, at most 4. */
  readonly workers?: number;
}

export interface VideoFolderOptions extends ClipOptions {
  /** Names of sub-folders in the order of their class index; default all, sorted. Give a test folder those of training. */
  readonly classes?: readonly string[];
}

export interface VideoFolder extends Dataset<VideoSample> {
  /** Other files that were left out, by extension. */
  readonly ignored: ReadonlyMap<string, number>;
}

/**
 * The mp4, webm, mov, avi, mpg, mkv and gif files of a folder and its sub-folders, and folders of frames, sorted by path.
 * First-level sub-folders are classes where there are any. Files are decoded in threads; frames that a clip does not
 * need are sought past where the format can. Rotation and pixel aspect are honoured.
 * @throws UnmaskError when the folder holds no video. `get` throws a BadSampleError for a video that cannot be read.
 */
export function videoFolder(directory: string, options: VideoFolderOptions = {}): VideoFolder {
  const { videos, ignored } = listVideos(directory);
  const dataset = clips("videoFolder", directory, videos, options, classesOf(videos, options.classes));
  return { ...dataset, name: directory, ignored };
}

/** Single video files, without classes; read as {@link videoFolder} reads them. */
export function videoFiles(files: readonly string[], options: ClipOptions = {}): Dataset<VideoSample> {
  return clips(
    "videoFiles",
    "",
    files.map((path) => ({ path })),
    options,
    {},
  );
}

/**
 * A folder of videos beside each of which lies `NAME.npz` with `scores` [T, h, w], how well each patch of each of T frames
 * spread over the video fits a caption, and `text` [D] or [captions, D], the captions' vectors: what text-guided masks
 * are made of. The training view draws a caption, the evaluation view takes the first.
 */
export function guidedVideoFolder(
  directory: string,
  { grid, ...options }: VideoFolderOptions & { readonly grid: readonly [number, number] },
): Dataset<GuidedSample> {
  expect(
    (options.testClips ?? 1) * (options.testCrops ?? 1) === 1,
    "guidedVideoFolder: scores belong to one view; leave out testClips and testCrops",
  );
  const { videos } = listVideos(directory);
  const classes = classesOf(videos, options.classes);
  return {
    ...clips("guidedVideoFolder", directory, videos, options, classes, (video, view, random) =>
      readGuide(join(directory, `${video.path}.npz`), video.path, view, grid, random),
    ),
    name: directory,
  };
}

type Extra<S> = (video: ListedVideo, view: ClipView, random?: Random) => Promise<Omit<S, keyof VideoSample>>;

function clips<S extends VideoSample>(
  caller: string,
  directory: string,
  videos: readonly ListedVideo[],
  options: ClipOptions,
  { classes, labels }: ReturnType<typeof folderClasses>,
  extra?: Extra<S>,
): Dataset<S> {
  const { frames, size, channels, timing, clipsPerVideo, augment, testClips, testCrops, workers } = complete(
    caller,
    options,
  );
  const length = videos.length * clipsPerVideo;
  const videoOf = (index: number) => videos[Math.floor(index / clipsPerVideo)];

  function plan(random?: Random): { starts: readonly number[]; crop: CropPlan } {
    if (random === undefined)
      return {
        starts: spread(testClips),
        crop: testCrops === 1 ? { kind: "centre" } : { kind: "spread", crops: testCrops },
      };
    const starts = [random.uniform()];
    if (augment === "none") return { starts, crop: { kind: "centre" } };
    const [cropSize, place] = [random.uniform(), random.uniform()];
    const flip = augment === "crop-flip" && random.uniform() < 0.5;
    return { starts, crop: { kind: "multi-scale", size: cropSize, place, flip } };
  }

  async function get(index: number, random?: Random): Promise<S> {
    const video = videoOf(index);
    expect(
      video !== undefined && index >= 0,
      `${directory || caller}: there is no clip ${index}; indices are 0-${length - 1}`,
    );
    const part = index % clipsPerVideo;
    const full = join(directory, video.path);
    const { starts, crop } = plan(random);
    const request: ClipRequest = {
      ...{
        source: video.frames?.map((name) => join(full, name)) ?? full,
        frames,
        timing,
        size,
        channels,
        starts,
        crop,
      },
      segment: [part / clipsPerVideo, (part + 1) / clipsPerVideo],
    };
    try {
      const clip = await (workers === 0 ? decodeClip(request) : decodeThreads.run(request, workers));
      const { pixels, views } = clip;
      const flip = crop.kind === "multi-scale" && crop.flip;
      return {
        ...{ pixels, frames, height: size[0], width: size[1], channels },
        ...(views > 1 && { views }),
        ...(labels && { label: labels[Math.floor(index / clipsPerVideo)]! }),
        ...(extra && (await extra(video, { ...clip, flip }, random))),
      } as S;
    } catch (error) {
      if (error instanceof FormatError) throw new BadSampleError(video.path, error.message, { cause: error });
      throw error;
    }
  }

  return createDataset<S>({
    name: videos.length === 1 ? videos[0]!.path : `${videos.length} videos`,
    length,
    ...(labels && { labels: Int32Array.from({ length }, (_, i) => labels[Math.floor(i / clipsPerVideo)]!) }),
    ...(classes && { classes }),
    nameOf: (index) => {
      const path = videoOf(index)?.path ?? String(index);
      return clipsPerVideo === 1 ? path : `${path} #${(index % clipsPerVideo) + 1}`;
    },
    get,
  });
}

/** Shares of what clips can start at: the middle of one, the ends and what is between of several. */
function spread(count: number): number[] {
  return count === 1 ? [0.5] : Array.from({ length: count }, (_, i) => i / (count - 1));
}

/** Options with their defaults, checked. */
function complete(caller: string, options: ClipOptions) {
  const {
    frames = 16,
    size = 224,
    channels = 3,
    stride = 4,
    rate,
    short = "skip",
    augment = "crop",
  } = options;
  const { clipsPerVideo = 1, testClips = 1, testCrops = 1, workers = defaultThreads() } = options;
  const [height, width] = typeof size === "number" ? [size, size] : size;
  for (const [key, value] of Object.entries({ frames, height, width, clipsPerVideo, testClips, testCrops }))
    expect(
      Number.isInteger(value) && value > 0,
      `${caller}: ${key} must be a positive integer, got ${value}`,
    );
  expect(stride >= 1, `${caller}: stride must be 1 or more frames, got ${stride}`);
  expect(rate === undefined || rate > 0, `${caller}: rate must be above 0 frames a second, got ${rate}`);
  expect(
    channels === 1 || channels === 3,
    `${caller}: channels must be 1 (gray) or 3 (colour), got ${channels}`,
  );
  expect(
    Number.isInteger(workers) && workers >= 0,
    `${caller}: workers must be 0 or a number of threads, got ${workers}`,
  );
  const timing: Timing = { stride, short, ...(rate !== undefined && { rate }) };
  const wanted: Size = [height, width];
  const colours: 1 | 3 = channels;
  return {
    ...{ frames, size: wanted, channels: colours, timing, workers },
    ...{ clipsPerVideo, augment, testClips, testCrops },
  };
}

const classesOf = (videos: readonly ListedVideo[], known?: readonly string[]) =>
  folderClasses(
    videos.map(({ path }) => path),
    known,
  );
