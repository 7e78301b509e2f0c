{
  "variables": {
    "kernel_sources": [
      "cpp/kernels/exports.cc",
      "cpp/kernels/gemm.cc",
      "cpp/kernels/elementwise.cc",
      "cpp/kernels/reduce.cc",
      "cpp/kernels/layout.cc",
      "cpp/kernels/layer-norm.cc",
      "cpp/kernels/attention.cc",
      "cpp/kernels/conv.cc",
      "cpp/kernels/depthwise.cc",
      "cpp/kernels/pool.cc",
      "cpp/kernels/resize.cc",
      "cpp/kernels/batch-norm.cc",
      "cpp/kernels/select.cc",
      "cpp/kernels/nearest.cc",
      "cpp/kernels/farthest.cc",
      "cpp/kernels/k-d-tree.cc",
      "cpp/kernels/edges.cc",
      "cpp/kernels/optimizer.cc",
      "cpp/kernels/rate.cc"
    ],
    "avx512_flags": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"],
    "sanitize%": "<!(node -p \"process.env.UNMASK_SANITIZE || ''\")"
  },
  "target_defaults": {
    "include_dirs": ["cpp"],
    "defines": ["NAPI_VERSION=8"],
    "cflags": ["-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-Wall", "-Wextra", "-Wno-psabi", "-Wno-unused-parameter"],
    "cflags!": ["-O2"],
    "cflags_cc": ["-std=c++20", "-O3", "-fno-exceptions", "-fno-rtti"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-std=gnu++1y"],
    "xcode_settings": {
      "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
      "CLANG_CXX_LIBRARY": "libc++",
      "GCC_OPTIMIZATION_LEVEL": "3",
      "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
      "MACOSX_DEPLOYMENT_TARGET": "11.0",
      "OTHER_CPLUSPLUSFLAGS": ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
    },
    "msbuild_toolset": "ClangCL",
    "msvs_settings": {
      "VCCLCompilerTool": { "LanguageStandard": "stdcpp20", "Optimization": 2, "AdditionalOptions": ["/clang:-O3", "/clang:-fno-math-errno", "/clang:-ffp-contract=fast"] }
    },
    "conditions": [
      ["sanitize!=''", {
        "cflags_cc": ["-O1", "-fsanitize=<(sanitize)", "-fno-sanitize-recover=all", "-fno-sanitize=vptr", "-fno-omit-frame-pointer", "-g"],
        "ldflags": ["-fsanitize=<(sanitize)"]
      }]
    ]
  },
  "targets": [
    {
      "target_name": "baseline",
      "type": "static_library",
      "sources": ["<@(kernel_sources)"],
      "conditions": [
        ["target_arch=='arm64'", { "defines": ["UNMASK_ISA=baseline", "UNMASK_WIDTH=4", "UNMASK_REGISTERS=32"] },
          { "defines": ["UNMASK_ISA=baseline", "UNMASK_WIDTH=4", "UNMASK_REGISTERS=16"] }]
      ]
    },
    {
      "target_name": "unmask_native",
      "sources": ["cpp/addon.cc", "cpp/cpu.cc", "cpp/memory.cc", "cpp/threads.cc"],
      "dependencies": ["baseline"],
      "conditions": [
        ["target_arch=='x64'", { "dependencies": ["avx2", "avx512", "avx512_bf16"], "defines": ["UNMASK_X64"] }]
      ]
    }
  ],
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "avx2",
          "type": "static_library",
          "sources": ["<@(kernel_sources)"],
          "defines": ["UNMASK_ISA=avx2", "UNMASK_WIDTH=8", "UNMASK_REGISTERS=16"],
          "cflags": ["-mavx2", "-mfma", "-mf16c", "-mtune=haswell"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-mavx2", "-mfma", "-mf16c"] },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["-mavx2", "-mfma", "-mf16c"] } }
        },
        {
          "target_name": "avx512",
          "type": "static_library",
          "sources": ["<@(kernel_sources)"],
          "defines": ["UNMASK_ISA=avx512", "UNMASK_WIDTH=16", "UNMASK_REGISTERS=32"],
          "cflags": ["<@(avx512_flags)", "-mtune=skylake-avx512"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(avx512_flags)"] },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["<@(avx512_flags)"] } }
        },
        {
          "target_name": "avx512_bf16",
          "type": "static_library",
          "sources": ["<@(kernel_sources)"],
          "defines": ["UNMASK_ISA=avx512_bf16", "UNMASK_WIDTH=16", "UNMASK_REGISTERS=32", "UNMASK_BF16"],
          "cflags": ["<@(avx512_flags)", "-mavx512bf16", "-mtune=skylake-avx512"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["<@(avx512_flags)", "-mavx512bf16"] },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["<@(avx512_flags)", "-mavx512bf16"] } }
        }
      ]
    }]
  ]
}
